package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress is a terminal with a line at its end that says what has been going on for longer than a second. Whatever is
// written takes the line's place.
type progress struct {
	w     io.Writer
	mu    sync.Mutex
	shown bool
}

const eraseLine = "\r\x1b[K"

// Write implements io.Writer.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return p.w.Write(text)
}

func (p *progress) erase() {
	if p.shown {
		_, _ = io.WriteString(p.w, eraseLine)
		p.shown = false
	}
}

// during shows the line every second until the function that it gives is called.
func (p *progress) during(what string) (end func()) {
	began, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				p.show(fmt.Sprintf("%s: %d s …", what, int(now.Sub(began).Seconds())))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
	}
}

func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	_, _ = io.WriteString(p.w, line)
	p.shown = true
}
