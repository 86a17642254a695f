// Package layout holds the rules of this repository's shape as tests: where a thing lies, what it may import, who may
// reveal a secret. The list of tests is the list of rules.
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
	"unicode/utf8"
)

// steps are in the order of the DAG.
var steps = []string{"extract_ecr_token", "update_docker_connection", "test_docker_connection"}

// revealers are the only files in which a secret is revealed, each because it leaves for its service there.
var revealers = []string{
	"airflowclient/auth.go",            // Airflow's login, and the JWT in a header
	"airflowclient/client.go",          // a bearer token is checked for what no header holds
	"airflowclient/connections.go",     // the connection's password
	"airflowclient/objects.go",         // the Variable's value
	"airflowclient/scrub.go",           // what must not be repeated of a server's message
	"cmd/ecr-refresh/keygen.go",        // what keygen is for
	"cmd/ecr-refresh/setup/objects.go", // a Variable's value is compared
	"steps/docker/engine.go",           // Docker's login
	"steps/registry/registry.go",       // the registry's login
	"steps/secret/encryption.go",       // the encrypted tokens
	"steps/secret/identity.go",         // the private key and its file
	"steps/secret/secret.go",           // Reveal itself
	"steps/secret/token.go",            // the fingerprint
}

// arrows lists what each package of the product may import of this module: always downwards. A folder stands for what
// is below it, too.
var arrows = map[string][]string{
	"airflowclient":     nil,
	"dags":              nil,
	"steps/failure":     nil,
	"steps/transport":   nil,
	"steps/privatefile": {"steps/failure"},
	"steps/secret":      {"steps/failure", "steps/privatefile"},
	"steps/xcom":        {"steps/failure", "steps/secret"},
	"steps/registry":    {"steps/failure", "steps/secret", "steps/transport"},
	"steps/ecr":         {"steps/failure", "steps/secret", "steps/transport"},
	"steps/docker":      {"steps/failure", "steps/registry", "steps/secret", "steps/transport"},
	"steps/target":      {"steps/failure", "steps/ecr", "steps/xcom"},
	"steps":             {"steps", "airflowclient"},
	"cmd/ecr-refresh":   {"cmd/ecr-refresh", "steps", "airflowclient", "dags"},
}

// Limits of size: lines of a package's hand-written code and of a function, columns of a line, and the paths through
// a function.
const (
	maxPackage    = 1300
	maxFunction   = 40
	maxColumns    = 120
	maxComplexity = 13
)

// source is one Go file of ours: generated files are exempt.
type source struct {
	path, dir string
	test      bool
	ast       *ast.File
	files     *token.FileSet
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
		dir, test := filepath.ToSlash(filepath.Dir(path)), strings.HasSuffix(path, "_test.go")
		all = append(all, source{path, dir, test, f, files})
	})
	return all
}

func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata") {
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
	allowed := strings.Fields(`cmd steps airflowclient dags integration docs Makefile go.mod go.sum
		README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE ecr_targets.schema.json layout_test.go bin`)
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
	drawers := []string{"internal", "pkg", "util", "utils", "common", "helpers", "misc"}
	walk(t, func(path string) {
		if slices.Contains(drawers, strings.TrimSuffix(filepath.Base(path), ".go")) {
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
			return s.dir == "steps/ecr" || s.dir == "integration/sandbox"
		}, "AWS's SDK belongs to steps/ecr; the sandbox needs its signer"},
		{"github.com/docker/", func(s source) bool {
			return s.dir == "steps/docker"
		}, "Docker belongs to steps/docker"},
		{"github.com/urfave/cli", func(s source) bool {
			return under(s.dir, "cmd")
		}, "the command line belongs to cmd"},
		{"golang.org/x/term", func(s source) bool {
			return under(s.dir, "cmd/ecr-refresh")
		}, "the terminal belongs to cmd"},
		{"github.com/creack/pty", func(s source) bool { return s.test }, "test code"},
		{"github.com/hashicorp/", func(s source) bool {
			return s.dir == "airflowclient" || s.dir == "steps/registry"
		}, "what is repeated: calls of Airflow and of registries"},
		{"github.com/google/go-containerregistry", func(s source) bool {
			return s.dir == "cmd/ecr-image"
		}, "images are packed by cmd/ecr-image"},
		{"filippo.io/age", func(s source) bool {
			return s.dir == "steps/secret"
		}, "encryption belongs to steps/secret"},
		{"ecr-refresh/integration", func(s source) bool {
			return s.test || s.dir == "cmd/ecr-sandbox" || under(s.dir, "integration")
		}, "nothing in production may need a stand-in"},
		{"net/http/httptest", func(s source) bool { return s.test || under(s.dir, "integration") }, "test code"},
		{"testing", func(s source) bool { return s.test || under(s.dir, "integration") }, "test code"},
	}
	for _, s := range sources(t) {
		for _, imp := range s.ast.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			for _, rule := range rules {
				matches := path == rule.imported || strings.HasPrefix(path, strings.TrimSuffix(rule.imported, "/")+"/")
				if matches && !rule.allowed(s) && !(s.test && under(s.dir, "integration")) {
					t.Errorf("%s imports %s: %s", s.path, path, rule.why)
				}
			}
		}
	}
}

// under reports whether dir is folder or lies below it.
func under(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

// product reports whether a source is code that users run.
func (s source) product() bool {
	return !s.test && slices.ContainsFunc([]string{"steps", "airflowclient", "dags", "cmd/ecr-refresh"},
		func(folder string) bool { return under(s.dir, folder) })
}

func TestArrowsPointDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.product() {
			continue
		}
		allowed, listed := arrows[s.dir]
		if !listed && under(s.dir, "cmd/ecr-refresh") {
			allowed, listed = arrows["cmd/ecr-refresh"], true
		}
		if !listed {
			t.Errorf("%s: package %s is not in the list of arrows", s.path, s.dir)
		}
		for _, imp := range s.ast.Imports {
			path, own := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), "ecr-refresh/")
			if own && !slices.ContainsFunc(allowed, func(dir string) bool { return under(path, dir) }) {
				t.Errorf("%s imports %s: arrows point down only", s.path, path)
			}
		}
	}
}

// A command's package may be imported by its own main alone.
func TestCommandsAreNoLibraries(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, imp := range s.ast.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if strings.HasPrefix(path, "ecr-refresh/cmd/") && !under(s.dir, "cmd/ecr-refresh") {
				t.Errorf("%s imports %s: a command is not a library", s.path, path)
			}
		}
	}
}

// Below cmd nothing knows how it is configured: no flag, no environment variable and no Airflow object of ours.
func TestNoNameOfOursBelowCmd(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`ECR_REFRESH_|AIRFLOW_(VAR|CONN)_|[" (]--[a-z]|` +
		`airflow-api|docker_default|systemqueue|\becr_(aws|targets|refresh)`)
	for _, s := range sources(t) {
		if !s.product() || !under(s.dir, "steps") && s.dir != "airflowclient" {
			continue
		}
		for n, line := range strings.Split(read(t, s.path), "\n") {
			if found := ours.FindString(line); found != "" {
				t.Errorf("%s:%d: %q belongs to cmd", s.path, n+1, found)
			}
		}
	}
}

// crypto/tls alone verifies certificates, but for Docker's own rule (DOCKER_CERT_PATH without DOCKER_TLS_VERIFY).
func TestWhoVerifiesCertificates(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.product() {
			continue
		}
		own := []string{"InsecureSkipVerify", "VerifyConnection", "VerifyPeerCertificate"}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && s.path != dockerTLS && slices.Contains(own, id.Name) {
				t.Errorf("%s: %s", s.path, id.Name)
			}
			return true
		})
	}
}

const dockerTLS = "steps/docker/engine.go"

func TestSizes(t *testing.T) {
	t.Parallel()
	lines := map[string]int{}
	for _, s := range sources(t) {
		text := read(t, s.path)
		for n, line := range strings.Split(text, "\n") {
			if columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); columns > maxColumns {
				t.Errorf("%s:%d has %d columns, more than %d", s.path, n+1, columns, maxColumns)
			}
		}
		if !s.product() {
			continue
		}
		lines[s.dir] += strings.Count(text, "\n")
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				checkFunction(t, s, f)
			}
		}
	}
	for dir, n := range lines {
		if n > maxPackage {
			t.Errorf("package %s has %d lines, more than %d", dir, n, maxPackage)
		}
	}
}

// checkFunction leaves out the length of one that only returns a table.
func checkFunction(t *testing.T, s source, f *ast.FuncDecl) {
	t.Helper()
	if f.Body == nil {
		return
	}
	name := s.path + ": " + f.Name.Name
	length := s.files.Position(f.End()).Line - s.files.Position(f.Pos()).Line + 1
	if length > maxFunction && len(f.Body.List) > 1 {
		t.Errorf("%s has %d lines, more than %d", name, length, maxFunction)
	}
	if n := complexity(f); n > maxComplexity {
		t.Errorf("%s has a cyclomatic complexity of %d, more than %d", name, n, maxComplexity)
	}
}

// complexity is 1 and one for each branch (McCabe).
func complexity(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch b := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if b.List != nil {
				n++
			}
		case *ast.CommClause:
			if b.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if b.Op == token.LAND || b.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
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
		if s.test || under(s.dir, "integration") || s.dir == "cmd/ecr-sandbox" {
			continue
		}
		environment := []string{"Getenv", "LookupEnv", "Environ", "Setenv"}
		for _, name := range selectors(s, "os") {
			if slices.Contains(environment, name) && !under(s.dir, "cmd/ecr-refresh") {
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
		if s.test || under(s.dir, "integration") {
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
		skips := []string{"Skip", "Skipf", "SkipNow"}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(skips, sel.Sel.Name) {
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
