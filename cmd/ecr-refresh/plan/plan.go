// Package plan shows what a run would do: each connection, its registry, and the endpoint that its token comes from.
package plan

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
)

// Plan is what --json prints. What is not known is null.
type Plan struct {
	Targets []Target `json:"targets"`
}

// Target is one connection of a plan.
type Target struct {
	ConnectionID *string `json:"connection_id"`
	Registry     string  `json:"registry"`
	Account      *string `json:"account"` // of the registry; ECR Public has none
	Region       string  `json:"region"`
	Partition    *string `json:"partition"`
	Service      string  `json:"service"`
	FIPS         bool    `json:"fips"`
	DualStack    bool    `json:"dual_stack"`
	Endpoint     string  `json:"endpoint"`
	AirflowURL   *string `json:"airflow_url"`
}

// Of returns the plan for targets. It sends nothing: load reads AWS's own settings, AWS_ENDPOINT_URL and the like.
// airflowURL may be "".
func Of(ctx context.Context, targets []target.Target, load ecr.Config, airflowURL string) (Plan, error) {
	plan := Plan{Targets: []Target{}}
	for _, t := range targets {
		cfg, err := load(ctx, t.Source.Profile)
		if err != nil {
			return Plan{}, err
		}
		endpoint, err := t.Source.EndpointURL(ctx, cfg)
		if err != nil {
			return Plan{}, fmt.Errorf("plan connection %q: %w", t.ConnectionID, err)
		}
		plan.Targets = append(plan.Targets, Target{
			ConnectionID: known(t.ConnectionID), Registry: t.Registry.Name, Account: known(t.Registry.Account),
			Region: t.Registry.Region, Partition: known(t.Registry.Partition), Service: t.Registry.Service,
			FIPS: t.Source.FIPS, DualStack: t.Source.DualStack, Endpoint: endpoint, AirflowURL: known(airflowURL),
		})
	}
	return plan, nil
}

func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Table returns the plan as text.
func (p Plan) Table() []byte {
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CONNECTION\tREGISTRY\tPARTITION\tTOKEN FROM\tAIRFLOW")
	for _, t := range p.Targets {
		row := []string{shown(t.ConnectionID), t.Registry, shown(t.Partition), t.Endpoint, shown(t.AirflowURL)}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

func shown(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}
