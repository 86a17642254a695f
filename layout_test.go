// Package layout holds the rules of this repository's shape as tests: where a thing lies, what it may import, who may
// reveal a secret. The list of tests is the list of rules.
package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// steps are in the order of the DAG.
var steps = []string{"extract_ecr_token", "update_docker_connection", "test_docker_connection"}

// revealers are the only files in which a secret is revealed, each because it leaves for its service there.
var revealers = []string{
	"airflowclient/auth.go",          // Airflow's login, and the JWT in a header
	"airflowclient/client.go",        // a bearer token is checked for what no header holds
	"airflowclient/connections.go",   // the connection's password
	"cmd/ecr-refresh/keygen.go",      // what keygen is for
	"cmd/ecr-refresh/setup/setup.go", // a new private key
	"steps/docker/engine.go",         // Docker's login
	"steps/registry/registry.go",     // the registry's login
	"steps/secret/encryption.go",     // the encrypted tokens
	"steps/secret/identity.go",       // the private key and its file
	"steps/secret/secret.go",         // Reveal itself, and the fingerprint
}

// arrows lists what each package of the product may import of this module: always downwards. A folder stands for what
// is below it, too.
var arrows = map[string][]string{
	"steps/untrusted":   nil,
	"dags":              nil,
	"steps/failure":     {"steps/untrusted"},
	"steps/transport":   {"steps/failure", "steps/untrusted"},
	"steps/privatefile": {"steps/failure"},
	"steps/secret":      {"steps/failure", "steps/privatefile", "steps/untrusted"},
	"airflowclient":     {"steps/failure", "steps/secret", "steps/transport", "steps/untrusted"},
	"steps/xcom":        {"steps/failure", "steps/secret"},
	"steps/registry":    {"steps/failure", "steps/secret", "steps/transport"},
	"steps/ecr":         {"steps/failure", "steps/secret", "steps/transport", "steps/untrusted"},
	"steps/docker":      {"steps/failure", "steps/registry", "steps/secret", "steps/transport", "steps/untrusted"},
	"steps/target":      {"steps/failure", "steps/ecr", "steps/untrusted", "steps/xcom"},
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
	dir, path, text string
	test            bool
	ast             *ast.File
	files           *token.FileSet
	uses            map[string]bool
}

// sources returns all of them.
var sources = sync.OnceValue(func() (all []source) {
	files := token.NewFileSet()
	for _, path := range must(paths()) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".gen.go") {
			continue
		}
		text := read(path)
		f := must(parser.ParseFile(files, path, text, parser.ParseComments))
		all = append(all, source{filepath.ToSlash(filepath.Dir(path)), path, text,
			strings.HasSuffix(path, "_test.go"), f, files, uses(f)})
	}
	return all
})

// uses returns what a file imports, with all folders above it, and the names in it: each by itself, and those behind a
// dot also as .Name and value.Name.
func uses(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, imp := range f.Imports {
		for path := strings.Trim(imp.Path.Value, `"`); path != "."; path = filepath.Dir(path) {
			names[path] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names["."+n.Sel.Name] = true
			names[types.ExprString(n)] = true
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	})
	return names
}

// paths returns all files and folders of ours.
func paths() (all []string, err error) {
	foreign := regexp.MustCompile(`^(\..+|bin|testdata)$`)
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && foreign.MatchString(entry.Name()) {
			return fs.SkipDir
		}
		all = append(all, filepath.ToSlash(path))
		return err
	})
	return all, err
}

// in reports whether a source is in one of several places: a file, a folder, a folder with all below it (folder/...);
// with :test, only tests are.
func (s source) in(places string) bool {
	return slices.ContainsFunc(strings.Fields(places), func(place string) bool {
		place, tests := strings.CutSuffix(place, ":test")
		folder, deep := strings.CutSuffix(place, "...")
		there := place == s.path || place == s.dir || deep && strings.HasPrefix(s.dir+"/", folder)
		return there && (s.test || !tests)
	})
}

// under reports whether dir is folder or lies below it.
func under(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

// product reports whether a source is code that users run.
func (s source) product() bool {
	return !s.test && s.in("steps/... airflowclient/... dags/... cmd/ecr-refresh/...")
}

func TestNamesOfFilesAndFolders(t *testing.T) {
	t.Parallel()
	top := strings.Fields(`cmd steps airflowclient dags integration docs Makefile go.mod go.sum
		README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE ecr_targets.schema.json layout_test.go bin`)
	drawers := []string{"internal", "pkg", "util", "utils", "common", "helpers", "misc"}
	for _, path := range must(paths()) {
		if !strings.Contains(path, "/") && !strings.HasPrefix(path, ".") && !slices.Contains(top, path) {
			t.Errorf("%s: not a top-level name; allowed are %v", path, top)
		}
		if slices.Contains(drawers, strings.TrimSuffix(filepath.Base(path), ".go")) {
			t.Errorf("%s: name it by what it is about", path)
		}
	}
}

// A step has one name everywhere.
func TestStepNames(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		for _, form := range []string{
			"steps/%s.go", "cmd/ecr-refresh/%s.go", "cmd/ecr-refresh/testdata/%s.txtar", "integration/real/%s_test.go",
		} {
			if _, err := os.Stat(fmt.Sprintf(form, step)); err != nil {
				t.Errorf("step %s: %v", step, err)
			}
		}
	}
	inOrder := regexp.MustCompile(`(?s)"` + strings.Join(steps, `".*"`) + `"`)
	dags := must(filepath.Glob("dags/*.py"))
	if len(dags) == 0 {
		t.Error("no DAG found")
	}
	for _, path := range append(dags, "steps/xcom/xcom.go") {
		if !inOrder.MatchString(read(path)) {
			t.Errorf("%s: a step is missing or out of order", path)
		}
	}
}

func TestArrowsPointDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources() {
		from := s.dir
		if under(s.dir, "cmd/ecr-refresh") {
			from = "cmd/ecr-refresh"
		}
		allowed, listed := arrows[from]
		if s.product() && !listed {
			t.Errorf("%s: package %s is not in the list of arrows", s.path, s.dir)
		}
		for _, imp := range s.ast.Imports {
			path, own := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), "ecr-refresh/")
			down := slices.ContainsFunc(allowed, func(dir string) bool { return under(path, dir) })
			if s.product() && own && !down {
				t.Errorf("%s imports %s: arrows point down only", s.path, path)
			}
			if own && under(path, "cmd") && !under(s.dir, "cmd/ecr-refresh") {
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
	for _, s := range sources() {
		if found := ours.FindString(s.text); found != "" && s.product() && s.in("steps/... airflowclient") {
			t.Errorf("%s: %q belongs to cmd", s.path, found)
		}
	}
}

// TestWhoUses lists the only places that may import a package or use a name: one by itself, one of any value (.Name),
// or one of a package. A file that is listed must use it.
func TestWhoUses(t *testing.T) {
	t.Parallel()
	const real = " integration/...:test"
	const others = " ...:test integration/... cmd/ecr-sandbox"
	for _, rule := range []struct{ names, places, why string }{
		{"github.com/aws", "steps/ecr integration/sandbox" + real, "AWS's SDK; the sandbox has its signer"},
		{"github.com/docker", "steps/docker" + real, "Docker belongs to steps/docker"},
		{"github.com/urfave/cli", "cmd/..." + real, "the command line belongs to cmd"},
		{"golang.org/x/term", "cmd/ecr-refresh/..." + real, "the terminal belongs to cmd"},
		{"github.com/hashicorp", "airflowclient steps/registry" + real, "what is repeated"},
		{"github.com/google/go-containerregistry", "cmd/ecr-image" + real, "images are packed by cmd/ecr-image"},
		{"filippo.io/age", "steps/secret" + real, "encryption belongs to steps/secret"},
		{"ecr-refresh/integration", others, "nothing in production may need a stand-in"},
		{"github.com/creack/pty", "...:test", "test code"},
		{"net/http/httptest testing", "...:test integration/...", "test code"},
		{".Reveal", strings.Join(revealers, " ") + " ...:test integration/...", "see revealers"},
		{".Raw", "airflowclient/client.go airflowclient/errors.go " +
			"airflowclient/transport.go steps/docker/engine.go steps/docker/errors.go steps/untrusted/text.go " +
			"steps/update_docker_connection.go steps/test_docker_connection.go cmd/ecr-refresh/doctor/airflow.go " +
			"cmd/ecr-refresh/setup/setup.go cmd/ecr-refresh/status/status.go cmd/ecr-wheel" + others,
			"what others wrote is compared there, and not shown"},
		{".Body .Header .Location .ErrorMessage .ErrorCode", "airflowclient/transport.go " +
			"steps/docker/engine.go steps/ecr/config.go steps/ecr/errors.go steps/registry/registry.go " +
			"steps/transport/transport.go cmd/ecr-image" + others, "they make it an untrusted.Text"},
		{"InsecureSkipVerify VerifyConnection VerifyPeerCertificate", "steps/docker/engine.go" + others,
			"crypto/tls verifies certificates, but for Docker's own rule (DOCKER_CERT_PATH without DOCKER_TLS_VERIFY)"},
		{"os.Getenv os.LookupEnv os.Environ os.Setenv", "cmd/ecr-refresh/..." + others,
			"a step gets plain values (AWS's SDK and net/http read their own)"},
		{"os.Exit", "cmd/ecr-refresh/main.go" + others, "only main.go ends the process"},
		{".Skip .Skipf .SkipNow", "", "no test is skipped: what is missing is installed, or the test fails"},
	} {
		for _, s := range sources() {
			used := slices.ContainsFunc(strings.Fields(rule.names), func(name string) bool { return s.uses[name] })
			if used && !s.in(rule.places) {
				t.Errorf("%s uses one of %s: %s", s.path, rule.names, rule.why)
			}
			if !used && slices.Contains(strings.Fields(rule.places), s.path) {
				t.Errorf("%s is listed, and uses none of %s", s.path, rule.names)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	lines := map[string]int{}
	for _, s := range sources() {
		for n, line := range strings.Split(s.text, "\n") {
			if columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); columns > maxColumns {
				t.Errorf("%s:%d has %d columns, more than %d", s.path, n+1, columns, maxColumns)
			}
		}
		if !s.product() {
			continue
		}
		lines[s.dir] += strings.Count(s.text, "\n")
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				s.checkFunction(t, f)
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
func (s source) checkFunction(t *testing.T, f *ast.FuncDecl) {
	t.Helper()
	length := s.files.Position(f.End()).Line - s.files.Position(f.Pos()).Line + 1
	if length > maxFunction && len(f.Body.List) > 1 {
		t.Errorf("%s: %s has %d lines, more than %d", s.path, f.Name, length, maxFunction)
	}
	if n := complexity(f); n > maxComplexity {
		t.Errorf("%s: %s has a cyclomatic complexity of %d, more than %d", s.path, f.Name, n, maxComplexity)
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
			n += min(len(b.List), 1)
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
	docs := map[string]int{}
	for _, s := range sources() {
		if s.test && s.dir != "." {
			continue
		}
		docs[s.dir] += 0
		if s.ast.Doc != nil {
			docs[s.dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("package %s has %d doc comments, want one", dir, n)
		}
	}
}

func TestExportedNamesHaveDocs(t *testing.T) {
	t.Parallel()
	for _, s := range sources() {
		var bare []string
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && ofExportedType(d) {
					bare = append(bare, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						bare = append(bare, ts.Name.Name)
					}
				}
			}
		}
		if len(bare) > 0 && !s.test {
			t.Errorf("%s: no doc comment of %v", s.path, bare)
		}
	}
}

// ofExportedType is true for what is no method, too.
func ofExportedType(f *ast.FuncDecl) bool {
	return f.Recv == nil || token.IsExported(strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*"))
}

// A package variable may only hold what nobody changes: a sentinel error, a compiled pattern, an embedded file. One
// grows: the secrets of the process (docs/decisions/0010-untrusted-text.md).
func TestNoMutableState(t *testing.T) {
	t.Parallel()
	for _, s := range sources() {
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && !s.test && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", s.path)
			}
			d, ok := decl.(*ast.GenDecl)
			if !ok || s.test || d.Tok != token.VAR || embeds(d) {
				continue
			}
			for _, spec := range d.Specs {
				grows := s.path == "steps/untrusted/secrets.go"
				if v := spec.(*ast.ValueSpec); v.Names[0].Name != "_" && !constant(v) && !grows {
					t.Errorf("%s: package variable %s", s.path, v.Names[0])
				}
			}
		}
	}
}

func embeds(d *ast.GenDecl) bool {
	return d.Doc != nil && strings.HasPrefix(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed")
}

// constant reports whether variables are made by functions called New or MustCompile.
func constant(v *ast.ValueSpec) bool {
	made := regexp.MustCompile(`^\w+\.(New|MustCompile)\(.*\)$`)
	mutable := func(value ast.Expr) bool { return !made.MatchString(types.ExprString(value)) }
	return len(v.Values) > 0 && !slices.ContainsFunc(v.Values, mutable)
}

// Every Make target has the note that `make help` prints.
func TestMakeTargetsHaveNotes(t *testing.T) {
	t.Parallel()
	for _, line := range regexp.MustCompile(`(?m)^[a-z-]+:.*$`).FindAllString(read("Makefile"), -1) {
		if !strings.Contains(line, "## ") {
			t.Errorf("Makefile: no note in %q", line)
		}
	}
}

func read(path string) string { return string(must(os.ReadFile(path))) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// A test that a document names exists: its function, and behind each slash a subtest or a script.
func TestDocumentsNameTests(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	for _, s := range sources() {
		if s.test || s.in("integration/...") {
			tests.WriteString(s.text)
		}
	}
	named, found := regexp.MustCompile("`(Test[A-Za-z]+)((?:/[^`]+)?)`"), 0
	for _, path := range must(paths()) {
		if !strings.HasSuffix(path, ".md") {
			continue
		}
		for _, name := range named.FindAllStringSubmatch(read(path), -1) {
			found++
			exists := strings.Contains(tests.String(), "\nfunc "+name[1]+"(")
			for part := range strings.SplitSeq(strings.Trim(name[2], "/"), "/") {
				part = strings.TrimSuffix(part, "…")
				_, err := os.Stat("cmd/ecr-refresh/testdata/" + part + ".txtar")
				exists = exists && (part == "" || err == nil || strings.Contains(tests.String(), `"`+part) ||
					strings.Contains(tests.String(), `"`+strings.ReplaceAll(part, "_", " ")))
			}
			if !exists {
				t.Errorf("%s: there is no test %s", path, name[0])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d names were found", found)
	}
}
