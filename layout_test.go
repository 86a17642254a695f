// Package layout holds the rules of this repository's shape as tests: where a thing lies, what it may import, who may
// see a secret. See the list of tests for the rules.
package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// steps are in the order of the DAG.
var steps = []string{"extract_ecr_token", "update_docker_connection", "test_docker_connection"}

// revealers are the only files in which a secret is taken out of its wrapping, each because it leaves for its peer there.
var revealers = []string{
	"airflowclient/auth.go",            // Airflow's login, and the JWT in a header
	"airflowclient/connections.go",     // the connection's password
	"airflowclient/connections_new.go", // the same, of a new connection
	"airflowclient/scrub.go",           // what must not be repeated of a server's words
	"airflowclient/variables.go",       // the Variable's value
	"cmd/ecr-refresh/keygen.go",        // what keygen is for
	"steps/engine.go",                  // the Engine's login
	"steps/registry.go",                // the registry's login
	"steps/token/identity.go",          // the identity and its file
	"steps/token/seal.go",              // the seal
	"steps/token/secret.go",            // Reveal itself
	"steps/token/token.go",             // the fingerprint
}

// source is one Go file of ours: generated files are exempt.
type source struct {
	path, dir string
	test      bool
	ast       *ast.File
}

func sources(t *testing.T) (all []source) {
	t.Helper()
	files := token.NewFileSet()
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".gen.go") {
			return
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{path, filepath.ToSlash(filepath.Dir(path)), strings.HasSuffix(path, "_test.go"), f})
	})
	return all
}

func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		visit(filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTopLevelNames(t *testing.T) {
	t.Parallel()
	allowed := strings.Fields("cmd steps airflowclient dags integration docs Makefile go.mod go.sum README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE ecr_targets.schema.json layout_test.go bin")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s: not a top-level name; allowed are %v", e.Name(), allowed)
		}
	}
}

func TestNoDrawersForEverything(t *testing.T) {
	t.Parallel()
	walk(t, func(path string) {
		if slices.Contains([]string{"internal", "pkg", "util", "utils", "common", "helpers", "misc"}, strings.TrimSuffix(filepath.Base(path), ".go")) {
			t.Errorf("%s: name it by what it is about", path)
		}
	})
}

// A step has one name everywhere.
func TestStepNames(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		for _, path := range []string{
			"steps/" + step + ".go",
			"cmd/ecr-refresh/" + step + ".go",
			"cmd/ecr-refresh/testdata/" + step + ".txtar",
			"integration/real/" + step + "_test.go",
		} {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("step %s: %v", step, err)
			}
		}
	}
	dags, err := filepath.Glob("dags/*.py")
	if err != nil || len(dags) == 0 {
		t.Fatalf("no DAG found: %v", err)
	}
	for _, path := range append(dags, "steps/xcom/xcom.go") {
		text := read(t, path)
		at := -1
		for _, step := range steps {
			next := strings.Index(text, `"`+step+`"`)
			if next <= at {
				t.Errorf("%s: step %q is missing or out of order", path, step)
			}
			at = next
		}
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	rules := []struct {
		imported string
		allowed  func(source) bool
		why      string
	}{
		{"github.com/aws/", func(s source) bool {
			return s.dir == "steps" || s.dir == "integration/sandbox"
		}, "ECR's SDK belongs to step 1; the sandbox needs its signer"},
		{"github.com/docker/", func(s source) bool { return s.dir == "steps" }, "Docker's client belongs to step 3"},
		{"github.com/urfave/cli", func(s source) bool { return strings.HasPrefix(s.dir, "cmd/") }, "the command line belongs to cmd"},
		{"golang.org/x/term", func(s source) bool { return s.dir == "cmd/ecr-refresh" }, "the terminal belongs to cmd"},
		{"github.com/creack/pty", func(s source) bool { return s.test }, "test code"},
		{"github.com/hashicorp/", func(s source) bool { return s.dir == "airflowclient" }, "retries of Airflow's API belong to its client"},
		{"github.com/google/go-containerregistry", func(s source) bool { return s.dir == "cmd/ecr-image" }, "images are packed by cmd/ecr-image"},
		{"filippo.io/age", func(s source) bool { return s.dir == "steps/token" }, "the seal belongs to steps/token"},
		{"ecr-refresh/integration", func(s source) bool {
			return s.test || s.dir == "cmd/ecr-sandbox" || strings.HasPrefix(s.dir, "integration")
		}, "nothing in production may need a stand-in"},
		{"ecr-refresh/cmd", func(source) bool { return false }, "a command is not a library"},
		{"net/http/httptest", func(s source) bool { return s.test || strings.HasPrefix(s.dir, "integration") }, "test code"},
		{"testing", func(s source) bool { return s.test || strings.HasPrefix(s.dir, "integration") }, "test code"},
	}
	for _, s := range sources(t) {
		for _, imp := range s.ast.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			for _, rule := range rules {
				matches := path == rule.imported || strings.HasPrefix(path, strings.TrimSuffix(rule.imported, "/")+"/")
				if matches && !rule.allowed(s) && !(s.test && strings.HasPrefix(s.dir, "integration")) {
					t.Errorf("%s imports %s: %s", s.path, path, rule.why)
				}
			}
		}
	}
}

func TestOnePackageDoc(t *testing.T) {
	t.Parallel()
	docs := map[string][]string{}
	for _, s := range sources(t) {
		if s.test && s.dir != "." {
			continue
		}
		found := docs[s.dir]
		if s.ast.Doc != nil {
			found = append(found, s.path)
		}
		docs[s.dir] = found
	}
	for dir, files := range docs {
		if len(files) != 1 {
			t.Errorf("package %s has %d doc comments, want one: %v", dir, len(files), files)
		}
	}
}

func TestExportedNamesHaveDocs(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && ofExportedType(d) {
					t.Errorf("%s: %s has no doc comment", s.path, d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no doc comment", s.path, ts.Name)
					}
				}
			}
		}
	}
}

func ofExportedType(method *ast.FuncDecl) bool {
	if method.Recv == nil {
		return true
	}
	of := method.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	name, ok := of.(*ast.Ident)
	return ok && name.IsExported()
}

// A package variable may only hold what nobody changes: a sentinel error, a compiled pattern, an embedded file.
func TestNoMutableState(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", s.path)
			}
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR || d.Doc != nil && strings.Contains(directives(d.Doc), "//go:embed") {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if !constant(v) {
					t.Errorf("%s: package variable %s", s.path, v.Names[0])
				}
			}
		}
	}
}

func directives(doc *ast.CommentGroup) string {
	var lines []string
	for _, c := range doc.List {
		lines = append(lines, c.Text)
	}
	return strings.Join(lines, "\n")
}

func constant(v *ast.ValueSpec) bool {
	if v.Names[0].Name == "_" {
		return true
	}
	for _, value := range v.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"New", "MustCompile"}, sel.Sel.Name) {
			return false
		}
	}
	return len(v.Values) > 0
}

// Only cmd reads the environment (AWS's SDK and net/http read their own), and only main.go ends the process.
func TestEnvironmentAndExit(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.dir, "integration") || s.dir == "cmd/ecr-sandbox" {
			continue
		}
		for _, name := range selectors(s, "os") {
			if slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "Setenv"}, name) && s.dir != "cmd/ecr-refresh" {
				t.Errorf("%s calls os.%s: a step gets plain values", s.path, name)
			}
			if name == "Exit" && s.path != "cmd/ecr-refresh/main.go" {
				t.Errorf("%s calls os.Exit", s.path)
			}
		}
	}
}

func selectors(s source, pkg string) (names []string) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				names = append(names, sel.Sel.Name)
			}
		}
		return true
	})
	return names
}

func TestWhoRevealsSecrets(t *testing.T) {
	t.Parallel()
	var found []string
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.dir, "integration") {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" && !slices.Contains(found, s.path) {
				found = append(found, s.path)
			}
			return true
		})
	}
	slices.Sort(found)
	if !slices.Equal(found, revealers) {
		t.Errorf("files that call Reveal:\n%s\nwant:\n%s", strings.Join(found, "\n"), strings.Join(revealers, "\n"))
	}
}

// No skipped test: what is missing is installed, or the test fails.
func TestNoSkips(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				t.Errorf("%s skips a test", s.path)
			}
			return true
		})
	}
}

// Every Make target has the note that `make help` prints.
func TestMakeTargetsHaveNotes(t *testing.T) {
	t.Parallel()
	for _, line := range regexp.MustCompile(`(?m)^[a-z-]+:.*$`).FindAllString(read(t, "Makefile"), -1) {
		if !strings.Contains(line, "## ") {
			t.Errorf("Makefile: no note in %q", line)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
