package sandbox

import (
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is an unusual answer to some requests.
type Fault struct {
	Method  string        // of the requests it is for; "" is any
	Path    string        // prefix of their path; "" is any
	Times   int           // how many of them; 0 is all until Clear
	Delay   time.Duration // waited first
	Drop    bool          // close the connection without an answer
	Status  int           // answer with this status, Header and Body; 0 leaves the answer to the stand-in
	Header  http.Header
	Body    string
	Endless bool                      // Body again and again, until the client hangs up
	Echo    func(*http.Request) Fault // not nil: its Header and Body, for each request
}

// Faults holds the faults that a stand-in was given, and what it was asked. The zero value is ready.
type Faults struct {
	mu       sync.Mutex
	down     bool
	faults   []Fault
	requests []string
}

// Inject adds a fault. The first one that fits a request decides.
func (f *Faults) Inject(fault Fault) { change(&f.mu, func() { f.faults = append(f.faults, fault) }) }

// Clear removes all faults that Inject added.
func (f *Faults) Clear() { change(&f.mu, func() { f.faults = nil }) }

// SetDown makes the stand-in unreachable, or reachable again.
func (f *Faults) SetDown(down bool) { change(&f.mu, func() { f.down = down }) }

// Requests returns the method and path of each request so far. No header or body is ever kept.
func (f *Faults) Requests() []string {
	return locked(&f.mu, func() []string { return slices.Clone(f.requests) })
}

func (f *Faults) isDown() bool { return locked(&f.mu, func() bool { return f.down }) }

// take records the request and returns the fault for it, if any.
func (f *Faults) take(r *http.Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	if f.down {
		return Fault{Drop: true}, true
	}
	i := slices.IndexFunc(f.faults, func(x Fault) bool { return x.fits(r) })
	if i < 0 {
		return Fault{}, false
	}
	fault := f.faults[i]
	switch {
	case fault.Times == 1:
		f.faults = slices.Delete(f.faults, i, i+1)
	case fault.Times > 1:
		f.faults[i].Times--
	}
	return fault, true
}

func (x Fault) fits(r *http.Request) bool {
	return (x.Method == "" || x.Method == r.Method) && strings.HasPrefix(r.URL.Path, x.Path)
}

// answer returns next's answer, or a fault's.
func (f *Faults) answer(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	fault, found := f.take(r)
	if !found {
		next(w, r)
		return
	}
	select {
	case <-time.After(fault.Delay):
	case <-r.Context().Done():
	}
	switch {
	case fault.Drop:
		panic(http.ErrAbortHandler) // net/http's own way to close without an answer
	case fault.Status == 0:
		next(w, r)
	default:
		if fault.Echo != nil {
			echo := fault.Echo(r)
			fault.Header, fault.Body = echo.Header, echo.Body
		}
		fault.write(w, r)
	}
}

func (x Fault) write(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for name, values := range x.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(x.Status)
	for {
		_, err := io.WriteString(w, x.Body)
		if err != nil || !x.Endless || r.Method == http.MethodHead { // the answer to HEAD has no body
			return
		}
	}
}

// locked returns a value that mu guards.
func locked[T any](mu *sync.Mutex, get func() T) T {
	mu.Lock()
	defer mu.Unlock()
	return get()
}

// change changes what mu guards.
func change(mu *sync.Mutex, set func()) {
	mu.Lock()
	defer mu.Unlock()
	set()
}

// serve serves h on listener and returns the function that stops it and waits for its end.
func serve(listener net.Listener, h http.Handler) func() error {
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	return func() error {
		err := server.Close()
		<-done
		return err
	}
}
