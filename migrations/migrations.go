// Package migrations holds the schema of the registry in PostgreSQL: numbered
// files of SQL, each of which only ever adds (forward only). Every release runs
// on the schema before and after its own files, so that servers of two releases
// can work side by side while one replaces the other; a release brings one file.
// They serve while it is run, so a file that changes more than one table that
// was there before, or indexes it, is no transaction: each of its statements is,
// and can be run again.
package migrations

import "embed"

// Files are the migrations in the order of their numbers.
//
//go:embed *.sql
var Files embed.FS
