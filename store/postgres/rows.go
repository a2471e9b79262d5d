package postgres

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// rowsOf are rows of one table by their keys, as they were and as they are.
type rowsOf struct {
	table
	keys int // the first so many columns are the key
	were map[string][]any
	are  map[string][]any
	list []string // keys of are, in order

	// guard are the columns that must be as they were read: others write them
	// too.
	guard []string
}

func rowsIn(name string, keys int, columns ...string) *rowsOf {
	return &rowsOf{table: table{name: name, columns: columns}, keys: keys, were: map[string][]any{}, are: map[string][]any{}}
}

func (r *rowsOf) key(row []any) string { return fmt.Sprint(row[:r.keys]...) }

func (r *rowsOf) had(row ...any) { r.were[r.key(row)] = row }

// has puts a row among those that are. ErrTaken if there is one of its key.
func (r *rowsOf) has(row ...any) error {
	k := r.key(row)
	if _, twice := r.are[k]; twice {
		return idp.ErrTaken
	}
	r.are[k], r.list = row, append(r.list, k)
	return nil
}

// write makes of the rows that were those that are.
func (r *rowsOf) write(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	for _, k := range slices.Sorted(maps.Keys(r.were)) {
		if _, stays := r.are[k]; !stays {
			args := slices.Clone(r.were[k][:r.keys])
			sql := "DELETE FROM " + r.name + " WHERE " + assign(r.columns[:r.keys], 1, " AND ")
			sql, args = r.guarded(sql, args, r.were[k])
			batch.Queue(sql, args...)
		}
	}
	r.rows = nil
	for _, k := range r.list {
		was, is := r.were[k], r.are[k]
		if was == nil {
			r.add(is...)
		} else if !reflect.DeepEqual(was, is) {
			r.update(batch, was, is)
		}
	}
	if err := met(tx.SendBatch(ctx, batch), batch.Len()); err != nil {
		return err
	}
	if len(r.rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{r.name}, r.columns, pgx.CopyFromRows(r.rows))
	return err
}

// update writes the columns that are different.
func (r *rowsOf) update(batch *pgx.Batch, was, is []any) {
	var set []string
	args := slices.Clone(is[:r.keys])
	for i := r.keys; i < len(is); i++ {
		if !reflect.DeepEqual(was[i], is[i]) {
			set, args = append(set, r.columns[i]), append(args, is[i])
		}
	}
	sql := "UPDATE " + r.name + " SET " + assign(set, r.keys+1, ", ") + " WHERE " + assign(r.columns[:r.keys], 1, " AND ")
	sql, args = r.guarded(sql, args, was)
	batch.Queue(sql, args...)
}

// guarded makes a command find the row only as it was read.
func (r *rowsOf) guarded(sql string, args, was []any) (string, []any) {
	for _, column := range r.guard {
		args = append(args, was[slices.Index(r.columns, column)])
		sql += fmt.Sprintf(" AND %s = $%d", column, len(args))
	}
	return sql, args
}

// assign is "a = $1, b = $2" for columns, with a sign between.
func assign(columns []string, first int, between string) string {
	var parts []string
	for i, c := range columns {
		parts = append(parts, fmt.Sprintf("%s = $%d", c, first+i))
	}
	return strings.Join(parts, between)
}

// met sends a batch, and is errMet if one of its n commands found nothing: what
// it is about was changed since it was read.
func met(results pgx.BatchResults, n int) error {
	var err error
	for range n {
		tag, failed := results.Exec()
		if failed == nil && tag.RowsAffected() == 0 {
			failed = errMet
		}
		if err = failed; err != nil {
			break
		}
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	return err
}
