package real

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/creack/pty"
)

// onTerminal runs ecr-refresh with its streams on a terminal, and returns what that shows.
func (w *world) onTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := w.shell(t, "").Command(t, args...)
	cmd.Env = slices.Concat(cmd.Env, env, []string{"TERM=xterm"})
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: terminalColumns})
	must(t, err)
	defer screen.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, screen) // ends with an error when the program closes its side
	_ = cmd.Wait()
	return shown.String()
}

// terminalColumns are enough for each line of doctor that has no URL.
const terminalColumns = 116

// terminalPage shows a terminal's text, with the colours of ecr-refresh. As on a terminal, a line that is too long goes
// on in the next one at whatever character comes.
const terminalPage = `<!DOCTYPE html><meta charset="utf-8"><style>
	pre { display: inline-block; width: %dch; margin: 0; padding: 16px; background: #0d1117; color: #e6edf3;
		font: 13px/1.45 "DejaVu Sans Mono", monospace; white-space: break-spaces; line-break: anywhere }
	.c31 { color: #ff7b72 } .c32 { color: #3fb950 } .c33 { color: #d29922 } .c90 { color: #8b949e }
</style><pre>$ %s
%s</pre>`

// showTerminal opens a page with a command and what a terminal showed of it.
func (b *browser) showTerminal(t *testing.T, command, shown string) {
	t.Helper()
	colour := regexp.MustCompile(`\x1b\[(\d+)m(.*?)\x1b\[0m`)
	text := colour.ReplaceAllString(html.EscapeString(shown), `<span class="c$1">$2</span>`)
	page := fmt.Sprintf(terminalPage, terminalColumns, html.EscapeString(command), text)
	do(t, b, "show the terminal", chromedp.Navigate("data:text/html;base64,"+
		base64.StdEncoding.EncodeToString([]byte(page))))
}
