package main

import (
	"bytes"
	"cmp"
	"context"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/target"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

func (p *program) plan() *cli.Command {
	in := p.inputs
	return p.step(cli.Command{
		Name:  "plan",
		Usage: "show what a run would do: each connection, its registry, and where its token comes from",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.StringFlag{Name: "registry", Usage: "tell all that the name of this `HOST` says, and nothing else"},
		},
		Description: describe(`Sends nothing and needs no credentials. What is not known here is empty in the table and null in the JSON.

Examples:
  ecr-refresh plan --account 123456789012 --region us-east-1
  ecr-refresh plan --targets ecr_targets.json --json
  ecr-refresh plan --registry 123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com`),
	}, []setting{in.account, in.region, in.connectionIDs, in.targets, in.airflowURL},
		func(c *call) func(context.Context) ([]byte, error) {
			roots := c.certificates()
			targets := c.plannedTargets()
			return func(ctx context.Context) ([]byte, error) {
				plan, err := c.plannedBy(ctx, targets, roots)
				if err != nil || c.Bool("json") {
					return jsonLine(plan, err)
				}
				return plan.table(), nil
			}
		})
}

// plannedTargets is what a run would renew, or the registry that --registry names, with or without connections.
func (c *call) plannedTargets() []target.Target {
	if !c.IsSet("registry") {
		return c.targetList()
	}
	host := c.String("registry")
	ids := c.ids()
	if len(ids) == 0 {
		ids = []string{""}
	}
	var targets []target.Target
	for _, id := range ids {
		t, err := target.Of(id, host)
		c.fault(err)
		targets = append(targets, t)
	}
	return targets
}

// plan is what --json prints. What is not known is null.
type plan struct {
	Targets []planned `json:"targets"`
}

type planned struct {
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

// plannedBy asks the SDK for each endpoint, with AWS's own settings: AWS_ENDPOINT_URL and the like count.
func (c *call) plannedBy(ctx context.Context, targets []target.Target, roots certificates) (plan, error) {
	load, airflow := ecr.DefaultConfig(roots.all, roots.extra, c.log), known(c.plannedAirflow())
	all := plan{Targets: []planned{}}
	for _, t := range targets {
		cfg, err := load(ctx, t.Source.Profile)
		if err != nil {
			return plan{}, err
		}
		endpoint, err := t.Source.EndpointURL(ctx, cfg)
		if err != nil {
			return plan{}, fmt.Errorf("plan connection %q: %w", t.ConnectionID, err)
		}
		all.Targets = append(all.Targets, planned{
			ConnectionID: known(t.ConnectionID), Registry: t.Registry.Name, Account: known(t.Registry.Account), Region: t.Registry.Region,
			Partition: known(t.Registry.Partition), Service: t.Registry.Service, FIPS: t.Source.FIPS, DualStack: t.Source.DualStack,
			Endpoint: endpoint, AirflowURL: airflow,
		})
	}
	return all, nil
}

func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// plannedAirflow gives Airflow's base URL where it is known; a plan needs no more of the connection.
func (c *call) plannedAirflow() string {
	if base := c.optional(c.airflowURL); base != "" {
		return base
	}
	conn, _ := c.airflowConnection()
	base, err := conn.baseURL()
	if err != nil {
		return ""
	}
	return base
}

func (p plan) table() []byte {
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CONNECTION\tREGISTRY\tPARTITION\tTOKEN FROM\tAIRFLOW")
	for _, t := range p.Targets {
		fmt.Fprintln(out, strings.Join([]string{shown(t.ConnectionID), t.Registry, shown(t.Partition), t.Endpoint, shown(t.AirflowURL)}, "\t"))
	}
	_ = out.Flush() // into memory
	return text.Bytes()
}

func shown(text *string) string {
	if text == nil {
		return "-"
	}
	return cmp.Or(*text, "-")
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true}
}

// jsonLine prints v as one line.
func jsonLine(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	return append(text, '\n'), err
}
