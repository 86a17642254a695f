package real

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox/suite"
)

// toxics returns network faults, as toxiproxy makes them: "" is that nobody listens.
func toxics() map[string]string {
	return map[string]string{
		"refused":     "",
		"reset":       `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`,
		"cut request": `{"type":"limit_data","stream":"upstream","attributes":{"bytes":40}}`,
		"cut answer":  `{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`,
		"slow drip": `{"type":"slicer","stream":"downstream",` +
			`"attributes":{"average_size":1,"size_variation":0,"delay":200000}}`,
		"silence":         `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
		"slow, yet whole": `{"type":"latency","stream":"downstream","attributes":{"latency":200}}`,
	}
}

// way is how a step reaches a peer.
type way struct {
	step                   func(suite.Shell, *testing.T, ...string) suite.Outcome
	upstream, env, message string // the peer's URL, what leads the step to another address, and the error
}

func (w *world) ways(t *testing.T) map[string]way {
	engine := suite.EngineFilter(t, w.Docker.Socket, suite.EngineCalls()...) // toxiproxy speaks TCP only
	return map[string]way{
		"moto":     {suite.Shell.Extract, w.Moto.URL, "AWS_ENDPOINT_URL=http://", "extract token of account "},
		"registry": {suite.Shell.Extract, w.Host() + ":443", "HTTPS_PROXY=http://", "check token at registry "},
		"airflow":  {suite.Shell.Update, w.Airflow.URL, "ECR_REFRESH_AIRFLOW_URL=http://", `update connection "`},
		"engine":   {suite.Shell.Test, engine, "DOCKER_HOST=tcp://", "reach Docker at tcp://"},
	}
}

// brokenWays puts toxiproxy between the steps and each real peer. What a row needs before is done one row at a time:
// FAB 3.5 builds a Flask application for each login, and answers 500 to a dozen at once.
func (w *world) brokenWays(t *testing.T) {
	for peer, way := range w.ways(t) {
		for toxic, text := range toxics() {
			t.Run(peer+"/"+toxic, func(t *testing.T) {
				h := w.shell(t, "way_"+peer+"_"+strings.NewReplacer(" ", "_", ",", "").Replace(toxic))
				h.Extract(t).Want(t, 0)
				if peer == "engine" {
					h.Update(t).Want(t, 0)
				}
				t.Parallel()
				address := through(t, way.upstream[strings.LastIndexByte(way.upstream, '/')+1:], text)
				if peer == "registry" {
					address = tunnel(t, address)
				}
				way.wantFault(t, h, toxic, way.env+address)
				if got := h.Password(t, h.ConnectionID); got != suite.OldPassword(h.ConnectionID) && got != h.Issued() {
					t.Error("Airflow holds neither the old password nor the new token")
				}
			})
		}
	}
}

// wantFault runs a step over a bad way: one error line that names the peer and the object, a hint, an end in time. What
// is only slow is green.
func (w way) wantFault(t *testing.T, h suite.Shell, toxic, env string) {
	t.Helper()
	if toxic == "slow, yet whole" {
		w.step(h, t, env).Want(t, 0)
		return
	}
	begin := time.Now()
	o := w.step(h, t, env, "ECR_REFRESH_TIMEOUT=6s")
	o.Want(t, 1, "ecr-refresh: error: "+w.message, "ecr-refresh: hint: ")
	lines, took := strings.Count("\n"+o.Stderr, "\necr-refresh: error: "), time.Since(begin)
	if lines != 1 || took > 20*time.Second {
		t.Errorf("%d error lines after %s:\n%s", lines, took, o.Stderr)
	}
}

// through puts toxiproxy before an address, and returns its own.
func through(t *testing.T, upstream, toxic string) string {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "way",
		"127.0.0.1:0", upstream)
	must(t, proxy.Start())
	if toxic == "" {
		proxy.Stop()
		return proxy.Listen
	}
	t.Cleanup(proxy.Stop)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	must(t, err)
	return proxy.Listen
}

// tunnel is an HTTPS proxy that leads every host to one address.
func tunnel(t *testing.T, address string) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		up, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer up.Close()
		down, from, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer down.Close()
		_, _ = io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			defer up.Close()
			_, _ = io.Copy(up, from)
		}()
		_, _ = io.Copy(down, up)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}
