package postgres

import (
	"context"
	"fmt"
	"os"
)

// migrator is in the environment of a process that only migrates: the URL.
const migrator = "LANYARD_TEST_MIGRATE"

func migrateAndSay(url string) int {
	if err := Migrate(context.Background(), url, silent); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
