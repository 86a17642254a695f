// Package environment reads variables as the DAG and people set them: what Jinja renders for nothing is nothing, and a
// long text comes in parts.
package environment

import (
	"os"
	"strconv"
	"strings"

	"ecr-refresh/steps/secret"
)

// IsEmpty reports whether value is what Jinja renders for nothing: None for null, NOTSET for a missing Variable, or
// blank.
func IsEmpty(value string) bool {
	switch strings.TrimSpace(value) {
	case "", "None", "NOTSET":
		return true
	}
	return false
}

// Value returns the variable without blanks around it, or "" where it is empty.
func Value(name string) string {
	if v := os.Getenv(name); !IsEmpty(v) {
		return strings.TrimSpace(v)
	}
	return ""
}

// Secret returns the variable as it is, or an empty secret. A secret has no flag: everybody can read argv.
func Secret(name string) secret.Secret {
	if v := os.Getenv(name); !IsEmpty(v) {
		return secret.New(v)
	}
	return secret.Secret{}
}

// Parts returns a long text: one variable holds no more than 128 KiB, so name is followed by name_2, name_3 and so on.
// set reports whether the first exists, even if it is empty.
func Parts(name string) (text string, set bool) {
	first, set := os.LookupEnv(name)
	if IsEmpty(first) {
		return "", set
	}
	text = first
	for n := 2; ; n++ {
		part := os.Getenv(Part(name, n))
		if part == "" {
			return text, true
		}
		text += part
	}
}

// Part returns the name of part n, from 1 on.
func Part(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(n)
}
