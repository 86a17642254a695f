package real

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox/suite"
)

// toxics returns network faults, as toxiproxy makes them: "" is that nobody listens.
func toxics() map[string]string {
	const slowDrip = `{"type":"slicer","stream":"downstream",` +
		`"attributes":{"average_size":1,"size_variation":0,"delay":200000}}`
	return map[string]string{
		"refused":         "",
		"reset":           `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`,
		"cut request":     `{"type":"limit_data","stream":"upstream","attributes":{"bytes":40}}`,
		"cut answer":      `{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`,
		"slow drip":       slowDrip,
		"silence":         `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
		"slow, yet whole": `{"type":"latency","stream":"downstream","attributes":{"latency":200}}`,
	}
}

// brokenWays puts toxiproxy between the steps and each real peer. What a row needs before is done one row at a time:
// FAB 3.5 builds a Flask application for each login, and answers 500 to a dozen at once.
func (w *world) brokenWays(t *testing.T) {
	for toxic, text := range toxics() {
		for peer, way := range map[string]func(*testing.T, suite.Shell, string){
			"moto": w.wayToMoto, "registry": w.wayToRegistry, "airflow": w.wayToAirflow, "engine": w.wayToEngine,
		} {
			id := "way_" + peer + "_" + strings.NewReplacer(" ", "_", ",", "").Replace(toxic)
			t.Run(peer+"/"+toxic, func(t *testing.T) {
				h := suite.Shell{Site: realSite{w}, Binary: w.bin, Dir: t.TempDir(), ConnectionID: id}
				h.Connect(t, id, h.Host(), suite.OldPassword(id))
				way(t, h, text)
			})
		}
	}
}

func (w *world) wayToMoto(t *testing.T, h suite.Shell, toxic string) {
	target, err := url.Parse(w.Moto.URL)
	must(t, err)
	t.Parallel()
	wantFault(t, h, toxic, h.Extract, "extract token of account "+w.Moto.Account,
		"AWS_ENDPOINT_URL=http://"+through(t, target.Host, toxic))
}

func (w *world) wayToRegistry(t *testing.T, h suite.Shell, toxic string) {
	t.Parallel()
	address := through(t, net.JoinHostPort(h.Host(), "443"), toxic)
	wantFault(t, h, toxic, h.Extract, "check token at registry "+h.Host(), "HTTPS_PROXY="+tunnel(t, address))
}

func (w *world) wayToAirflow(t *testing.T, h suite.Shell, toxic string) {
	h.Extract(t).Want(t, 0)
	t.Parallel()
	host, port, _ := net.SplitHostPort(through(t, strings.TrimPrefix(w.Airflow.URL, "http://"), toxic))
	wantFault(t, h, toxic, h.Update, `update connection "`+h.ConnectionID+`": `, "ECR_REFRESH_AIRFLOW_HOST="+host,
		"ECR_REFRESH_AIRFLOW_PORT="+port)
	if got := h.Password(t, h.ConnectionID); got != suite.OldPassword(h.ConnectionID) && got != h.Issued() {
		t.Error("Airflow holds neither the old password nor the new token")
	}
}

func (w *world) wayToEngine(t *testing.T, h suite.Shell, toxic string) {
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	t.Parallel()
	wantFault(t, h, toxic, h.Test, "reach Docker at tcp://",
		"DOCKER_HOST=tcp://"+through(t, toUnix(t, w.Docker.Socket), toxic))
}

// wantFault runs a step over a bad way: one error line that names the peer and the object, a hint, an end in time. What
// is only slow is green.
func wantFault(t *testing.T, h suite.Shell, toxic string, step func(*testing.T, ...string) suite.Outcome,
	message string,
	env ...string) {
	t.Helper()
	if strings.Contains(toxic, "latency") {
		step(t, env...).Want(t, 0)
		return
	}
	begin := time.Now()
	o := step(t, append(env, "ECR_REFRESH_TIMEOUT=6s")...)
	o.Want(t, 1, "ecr-refresh: error: "+message, "ecr-refresh: hint: ")
	if n, took := strings.Count("\n"+o.Stderr, "\necr-refresh: error: "), time.Since(begin); n != 1 ||
		took > 20*time.Second {
		t.Errorf("%d error lines after %s:\n%s", n, took, o.Stderr)
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
	return "http://" + serve(t, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		if _, err := http.ReadRequest(reader); err != nil {
			return
		}
		up, err := net.Dial("tcp", address)
		if err != nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		join(conn, reader, up)
	})
}

// toUnix returns a TCP address of a unix socket: toxiproxy speaks no other.
func toUnix(t *testing.T, socket string) string {
	return serve(t, func(conn net.Conn) {
		if up, err := net.Dial("unix", socket); err == nil {
			join(conn, conn, up)
		}
	})
}

// serve passes each connection to a handler until the test ends, and closes it afterwards.
func serve(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); handle(conn) }()
		}
	}()
	return listener.Addr().String()
}

// join carries bytes both ways until one side ends.
func join(down net.Conn, from io.Reader, up net.Conn) {
	go func() {
		defer up.Close()
		_, _ = io.Copy(up, from)
	}()
	defer up.Close()
	_, _ = io.Copy(down, up)
}
