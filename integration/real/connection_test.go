package real

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// TestRealConnections compares connections.json, which holds what ecr-refresh reads of AIRFLOW_CONN_…, with Airflow:
// its Connection, and what DockerHook makes of reauth. UPDATE_CONNECTIONS=1 writes the file anew. Before Airflow 3.2,
// three texts are read in another way.
func TestRealConnections(t *testing.T) {
	const path = root + "/cmd/ecr-refresh/connection/testdata/connections.json"
	text, err := os.ReadFile(path)
	must(t, err)
	var golden struct{ Rows []map[string]string }
	must(t, json.Unmarshal(text, &golden))
	var texts []string
	for _, row := range golden.Rows {
		texts = append(texts, row["text"])
	}
	read, err := peers.AirflowConnections(t.Context(), os.Getenv("AIRFLOW"), texts)
	must(t, err)
	if len(texts) < 150 || len(read) != len(texts) {
		t.Fatalf("%d texts, %d read", len(texts), len(read))
	}
	newly := []string{"JSON, uri beside null", "JSON, password is a number", "JSON, extra is text of no JSON"}
	old := strings.HasPrefix(os.Getenv("AIRFLOW"), "3.0.") || strings.HasPrefix(os.Getenv("AIRFLOW"), "3.1.")
	var lines [][]byte
	for i, row := range golden.Rows {
		want := read[i]
		want["name"], want["text"] = row["name"], row["text"]
		if !maps.Equal(row, want) && !(old && slices.Contains(newly, row["name"])) {
			t.Errorf("%s:\n%v, Airflow:\n%v", row["text"], row, want)
		}
		var line bytes.Buffer
		out := json.NewEncoder(&line)
		out.SetEscapeHTML(false)
		must(t, out.Encode(want))
		lines = append(lines, bytes.TrimSpace(line.Bytes()))
	}
	if os.Getenv("UPDATE_CONNECTIONS") != "" {
		all := "{\"rows\": [\n" + string(bytes.Join(lines, []byte(",\n"))) + "\n]}\n"
		must(t, os.WriteFile(path, []byte(all), 0o644))
	}
}
