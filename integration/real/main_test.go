// Package real proves ecr-refresh on its real peers (package peers): the DAG in Airflow, and the steps by hand.
//
// The tests run when INTEGRATION=required, as run.sh sets it, and then a peer that is missing is a failure; otherwise
// none of them runs.
package real

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch mode := os.Getenv("INTEGRATION"); mode {
	case "required":
		_ = flag.Set("test.parallel", "32") // many tests wait for Airflow at the same time
		os.Exit(m.Run())
	case "":
	default:
		fmt.Fprintf(os.Stderr, "integration: INTEGRATION=%q: want required, or nothing\n", mode)
		os.Exit(2)
	}
}
