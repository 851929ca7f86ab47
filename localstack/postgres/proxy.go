package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
)

// Proxy stands between a client and a server and understands enough of the wire protocol to cut a connection at a chosen
// statement, before or after the server executed it, and to count logins. It speaks plaintext only: a client that asks
// for TLS is told that there is none. https://www.postgresql.org/docs/15/protocol-flow.html
type Proxy struct {
	upstream string
	listener net.Listener

	mu      sync.Mutex
	cuts    []*Cut
	refuse  bool
	closed  bool
	conns   map[net.Conn]struct{}
	logins  map[string]Logins
	running sync.WaitGroup
}

// Logins counts what became of login attempts.
type Logins struct{ Succeeded, Failed int }

// Cut is one planned loss of a connection. It happens once.
type Cut struct {
	Match *regexp.Regexp // which statements count; nil: COMMIT
	Nth   int            // which of the matching statements, counted from when the cut was planned; 0 and 1: the first
	After bool           // the server executes the statement, and the client does not hear of it

	mu    sync.Mutex
	seen  int
	fired bool
}

var commit = regexp.MustCompile(`(?i)^\s*commit\b`)

// Fired tells whether the connection was cut.
func (c *Cut) Fired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fired
}

func (c *Cut) hits(statement string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	match := c.Match
	if match == nil {
		match = commit
	}
	if c.fired || !match.MatchString(statement) {
		return false
	}
	c.seen++
	c.fired = c.seen >= max(c.Nth, 1)
	return c.fired
}

// NewProxy listens on a free port of 127.0.0.1 and forwards to the server at port upstream of 127.0.0.1.
func NewProxy(upstream int) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy: %w", err)
	}
	p := &Proxy{upstream: fmt.Sprintf("127.0.0.1:%d", upstream), listener: l,
		conns: map[net.Conn]struct{}{}, logins: map[string]Logins{}}
	p.running.Go(p.accept)
	return p, nil
}

// Port is where the proxy listens.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Plan adds a cut.
func (p *Proxy) Plan(c *Cut) *Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts = append(p.cuts, c)
	return c
}

// Refuse makes the proxy drop new connections at once, or take them again.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Logins counts the login attempts of a user so far; "" counts everybody's.
func (p *Proxy) Logins(user string) Logins {
	p.mu.Lock()
	defer p.mu.Unlock()
	if user != "" {
		return p.logins[user]
	}
	var all Logins
	for _, l := range p.logins {
		all.Succeeded += l.Succeeded
		all.Failed += l.Failed
	}
	return all
}

// Close drops every connection and returns when nothing runs any more.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.track(client) {
			client.Close()
			continue
		}
		p.running.Go(func() {
			defer p.drop(client)
			_ = p.serve(client) // a connection that ends badly ends: the client sees it, as it would without a proxy
		})
	}
}

func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuse {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.Close()
}

func (p *Proxy) due(statement string) *Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.cuts {
		if c.hits(statement) {
			return c
		}
	}
	return nil
}

func (p *Proxy) count(user string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.logins[user]
	if ok {
		l.Succeeded++
	} else {
		l.Failed++
	}
	p.logins[user] = l
}

// message is one protocol message; kind is 0 for the untyped first one.
type message struct {
	kind byte
	raw  []byte // whole, as it goes over the wire
	body []byte
}

const longest = 1 << 24 // bytes in one message; more is not PostgreSQL

func read(r io.Reader, typed bool) (message, error) {
	head := make([]byte, 4, 5)
	if typed {
		head = head[:5]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return message{}, err
	}
	var m message
	if typed {
		m.kind = head[0]
	}
	length := int(binary.BigEndian.Uint32(head[len(head)-4:]))
	if length < 4 || length > longest {
		return message{}, errors.New("not a PostgreSQL message")
	}
	m.raw = append(head, make([]byte, length-4)...)
	m.body = m.raw[len(head):]
	_, err := io.ReadFull(r, m.body)
	return m, err
}
