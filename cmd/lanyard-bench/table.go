package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// What a server may take beside time: the rest of the budgets.
const (
	idleBudget  = 40 << 20
	loadBudget  = 100 << 20
	startBudget = 150 * time.Millisecond
)

// write shows all figures, to people or as JSON.
func (f figures) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(f)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\t\n", args...) }
	b := f.Bare
	_, _ = fmt.Fprintf(out, "Bare costs, in CPU milliseconds: S (RSA-2048 signature) %.3f, P-256 signature %.3f, a card's answer %.3f,\n"+
		"HTTP request %.3f, trip to Redis %.3f, row in PostgreSQL %.3f.\n"+
		"A whole sign-in by card cannot cost less than %.2f with ES256 and %.2f with RS256.\n\n",
		ms(b.RS256), ms(b.ES256), ms(b.Card), ms(b.HTTP), ms(b.Redis), ms(b.Postgres), ms(b.floor(b.ES256)), ms(b.floor(b.RS256)))
	line("operation\tat once\tCPU ms\tS beside it\tin S\tbudget\t\tlanyard\tPostgreSQL\tRedis\ttrips\twrites\ta second\tp50 ms\tp95\tp99")
	for _, g := range f.Figures {
		line("%s\t%d\t%.3f\t%.3f\t%.2f\t%.2f\t%s\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\t%.0f\t%.2f\t%.2f\t%.2f", g.Operation, g.AtOnce, ms(g.total()), g.S, g.inS(), g.Budget,
			g.verdict(), g.CPU[0].MS, g.CPU[1].MS, g.CPU[2].MS, g.Trips, g.Writes, g.PerSecond, g.P50, g.P95, g.P99)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nStart to first answer %s (%s %s). Memory %d MiB idle (%s %d), %d MiB at 16 at once (%s %d), %d MiB while passwords are hashed.\n"+
		"Figures in S can be compared between machines; rates and times cannot. The driver runs on the same processors.\n",
		f.Start.Round(time.Millisecond), verdict(f.Start <= startBudget), startBudget,
		f.IdleBytes>>20, verdict(f.IdleBytes <= idleBudget), idleBudget>>20, f.LoadBytes>>20, verdict(f.LoadBytes <= loadBudget), loadBudget>>20, f.HashBytes>>20)
	return errors.Join(err, f.Desk.write(out), f.Registry.write(out))
}

// verdict says whether the figure is within its budget, if it has one.
func (f figure) verdict() string {
	if f.Budget == 0 {
		return ""
	}
	return verdict(f.inS() <= f.Budget)
}

func verdict(within bool) string {
	if within {
		return "within"
	}
	return "OVER"
}
