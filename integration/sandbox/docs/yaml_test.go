package docs

import (
	"errors"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ecr-refresh/integration/sandbox/readme"
)

// wantStrict reads a block of YAML, of which each field must be known. Package real asks compose's own reader and
// Kubernetes' schemas.
func wantStrict(t *testing.T, b readme.Block) {
	t.Helper()
	switch b.Kind {
	case "compose":
		c := strictly[compose](t, b)[0]
		for name := range c.Extensions {
			if !strings.HasPrefix(name, "x-") {
				t.Errorf("%s: unknown field %s", b, name)
			}
		}
	case "helm":
		strictly[chart](t, b)
	case "kubernetes":
		strictly[object](t, b)
	}
}

// strictly returns all documents of a block.
func strictly[T any](t *testing.T, b readme.Block) (all []T) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(b.Text))
	decoder.KnownFields(true)
	for {
		var one T
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF) && len(all) > 0:
			return all
		case err != nil:
			t.Fatalf("%s: %v", b, err)
		}
		all = append(all, one)
	}
}

// compose has the fields of a compose file that the pages use.
type compose struct {
	Extensions map[string]any `yaml:",inline"`
	Services   map[string]struct {
		Build, Image, Command string
		GroupAdd              []string `yaml:"group_add"`
		Volumes               []string
		Environment           map[string]string
	}
}

// chart has the values of Airflow's Helm chart that the pages use.
type chart struct {
	AirflowVersion string `yaml:"airflowVersion"`
	Executor       string
	Images         struct {
		Airflow struct{ Repository, Tag string }
	}
	Env     []struct{ Name, Value string }
	Workers struct {
		ServiceAccount struct{ Annotations map[string]string } `yaml:"serviceAccount"`
	}
}

// object has the fields of a ServiceAccount and of a CronJob that the pages use.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name, Namespace string
		Annotations     map[string]string
	}
	Spec struct {
		Schedule          string
		ConcurrencyPolicy string `yaml:"concurrencyPolicy"`
		JobTemplate       struct {
			Spec struct {
				BackoffLimit          int `yaml:"backoffLimit"`
				ActiveDeadlineSeconds int `yaml:"activeDeadlineSeconds"`
				PodFailurePolicy      struct {
					Rules []struct {
						Action      string
						OnExitCodes struct {
							Operator string
							Values   []int
						} `yaml:"onExitCodes"`
					}
				} `yaml:"podFailurePolicy"`
				Template struct {
					Spec struct {
						ServiceAccountName string `yaml:"serviceAccountName"`
						RestartPolicy      string `yaml:"restartPolicy"`
						Containers         []container
					}
				}
			}
		} `yaml:"jobTemplate"`
	}
}

type container struct {
	Name, Image string
	Args        []string
	EnvFrom     []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	SecurityContext struct {
		RunAsNonRoot             bool `yaml:"runAsNonRoot"`
		AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
}

// containers returns those of all objects of a block.
func containers(t *testing.T, b readme.Block) (all []container) {
	t.Helper()
	for _, o := range strictly[object](t, b) {
		all = append(all, o.Spec.JobTemplate.Spec.Template.Spec.Containers...)
	}
	return all
}
