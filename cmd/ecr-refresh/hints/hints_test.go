package hints

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ecr-refresh/steps/failure"
)

// Every kind of failure that the program can meet has a hint, and no hint is of a kind that there is not.
func TestEveryKindHasAHint(t *testing.T) {
	t.Parallel()
	left := hints()
	for kind, where := range kinds(t) {
		if _, found := left[kind]; !found {
			t.Errorf("%s: kind %q has no hint", where, kind)
		}
		delete(left, kind)
	}
	for kind := range left {
		t.Errorf("no package has kind %q", kind)
	}
}

// A hint in a task names no flag.
func TestHintsInTasksNameNoFlag(t *testing.T) {
	t.Parallel()
	for kind, h := range hints() {
		if h.shell != "" && strings.Contains(h.task, " --") && !strings.Contains(h.task, "airflow ") {
			t.Errorf("%s: %s", kind, h.task)
		}
	}
}

// kinds returns the constants of type failure.Kind and airflowclient.Kind in the product, and where they are declared.
func kinds(t *testing.T) map[failure.Kind]string {
	t.Helper()
	found := map[failure.Kind]string{}
	for _, folder := range []string{"steps", "airflowclient", "cmd/ecr-refresh"} {
		root := filepath.Join("..", "..", "..", folder)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok {
					addKinds(found, spec, path, folder == "airflowclient")
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func addKinds(found map[failure.Kind]string, spec *ast.ValueSpec, path string, airflow bool) {
	switch kind := spec.Type.(type) {
	case *ast.SelectorExpr:
		if kind.Sel.Name != "Kind" {
			return
		}
	case *ast.Ident:
		if kind.Name != "Kind" {
			return
		}
	default:
		return
	}
	for _, value := range spec.Values {
		text := ""
		ast.Inspect(value, func(n ast.Node) bool { // a literal, or the prefix of what is not found and a literal
			switch v := n.(type) {
			case *ast.BasicLit:
				part, _ := strconv.Unquote(v.Value)
				text += part
			case *ast.Ident:
				text += "no such "
			}
			return true
		})
		if airflow {
			text = "airflow " + text
		}
		found[failure.Kind(text)] = path
	}
}
