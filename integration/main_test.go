// Package integration proves ecr-refresh against its peers: stand-ins in this process, and real ones.
//
// Tests named TestReal… need real peers (package peers). They run when INTEGRATION=required, and then a peer that is
// missing is a failure; otherwise they are left out.
package integration

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := choose(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// choose leaves the tests on real peers out, or lets many of them wait for Airflow at the same time.
func choose() error {
	switch mode := os.Getenv("INTEGRATION"); mode {
	case "required":
		return flag.Set("test.parallel", "32")
	case "":
		skip := flag.Lookup("test.skip").Value
		if skip.String() != "" {
			return skip.Set("(" + skip.String() + ")|^TestReal")
		}
		return skip.Set("^TestReal")
	default:
		return fmt.Errorf("INTEGRATION=%q: want required, or nothing", mode)
	}
}
