package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// What is logged is when the agent began, of which service a link was, and what
// came of it, in words from the lists in outcome.go. A link, a handle, a code, a
// passcode and a card's certificate are never given to the log.

// maxLog bounds one file of the log; the one before it is kept, too.
const maxLog = 1 << 20

// newLog returns a log that goes where the system keeps logs: to the journal
// where it listens on errs, which knows the time by itself, and otherwise to a
// file of the person's. Where there is no such file either, nothing is logged,
// and the agent works.
func newLog(level slog.Level, getenv func(string) string, errs *os.File) (*slog.Logger, func()) {
	// What libraries say to the standard log is theirs, and may name what we
	// would not.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if journalListens(getenv, errs) {
		return slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime})), func() {}
	}
	path := logPath(getenv)
	if path == "" {
		return slog.New(slog.DiscardHandler), func() {}
	}
	w := &logFile{path: path, most: maxLog}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), func() { _ = w.Close() }
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// logFile is a file that is put aside when it is full. It is opened at the first
// word. Two agents may share one: a line more or less is lost when both put it
// aside.
type logFile struct {
	path string
	most int64

	mu   sync.Mutex
	file *os.File
	size int64
}

var _ io.WriteCloser = (*logFile)(nil)

// Write implements io.Writer.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	if l.size > 0 && l.size+int64(len(line)) > l.most {
		_ = l.file.Close() // before it is renamed: Windows asks for that
		l.file = nil
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return 0, err
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

func (l *logFile) open() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("the log is no regular file")
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Close implements io.Closer.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
