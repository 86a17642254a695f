package leaks

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
)

// Printed returns all that fmt and slog print of a value, by every verb and handler.
func Printed(value any) string {
	var out bytes.Buffer
	fmt.Fprint(&out, value)
	fmt.Fprintln(&out, value)
	for _, verb := range strings.Split("v +v #v s q #q x X # x d t c U e b o p T w 10v -20s .3s", " ") {
		fmt.Fprintf(&out, "%"+verb, value)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).With("with", value).Info("", "a", value, slog.Group("g", "b", value))
	}
	return out.String()
}
