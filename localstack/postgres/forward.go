package postgres

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
)

// Codes that stand where a startup message has its protocol version.
const (
	cancelRequest = 80877102
	tlsRequest    = 80877103
	gssRequest    = 80877104
)

var errCut = errors.New("cut as planned")

// serve carries one connection from its first message to its end.
func (p *Proxy) serve(client net.Conn) error {
	in := bufio.NewReader(client)
	start, err := startup(client, in)
	if err != nil {
		return err
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return err
	}
	if !p.track(server) {
		return server.Close()
	}
	defer p.drop(server)
	if _, err := server.Write(start.raw); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(start.body) == cancelRequest {
		return nil
	}
	link := &link{proxy: p, client: client, server: server, user: parameter(start.body[4:], "user")}
	p.running.Go(func() {
		_ = link.answers(bufio.NewReader(server))
		client.Close()
		server.Close()
	})
	return link.requests(in)
}

// startup declines encryption until the client sends its startup message or a cancel request.
func startup(client net.Conn, in *bufio.Reader) (message, error) {
	for {
		m, err := read(in, false)
		if err != nil {
			return message{}, err
		}
		if len(m.body) < 4 {
			return message{}, errors.New("not a startup message")
		}
		switch binary.BigEndian.Uint32(m.body) {
		case tlsRequest, gssRequest:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return message{}, err
			}
		default:
			return m, nil
		}
	}
}

func parameter(body []byte, name string) string {
	fields := bytes.Split(body, []byte{0})
	for i := 0; i+1 < len(fields); i += 2 {
		if string(fields[i]) == name {
			return string(fields[i+1])
		}
	}
	return ""
}

// link is one client's connection to the server.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	user           string
	swallow        atomic.Bool // the server's answers no longer reach the client; the next ReadyForQuery ends the connection
}

// requests forwards what the client sends. Statements come as Query (simple protocol) or Parse (extended); in the second
// case the statement is executed by the messages up to the following Sync.
func (l *link) requests(in *bufio.Reader) error {
	for {
		m, err := read(in, true)
		if err != nil {
			return err
		}
		if statement, ok := statementOf(m); ok {
			if cut := l.proxy.due(statement); cut != nil {
				if !cut.After {
					l.client.Close()
					return errCut
				}
				// Before the statement is sent, so that no answer slips past.
				l.swallow.Store(true)
			}
		}
		if _, err := l.server.Write(m.raw); err != nil {
			return err
		}
	}
}

func statementOf(m message) (string, bool) {
	text := m.body
	switch m.kind {
	case 'Q':
	case 'P':
		name := bytes.IndexByte(text, 0)
		if name < 0 {
			return "", false
		}
		text = text[name+1:]
	default:
		return "", false
	}
	end := bytes.IndexByte(text, 0)
	if end < 0 {
		return "", false
	}
	return string(text[:end]), true
}

// answers forwards what the server sends, and counts the login.
func (l *link) answers(out *bufio.Reader) error {
	loggedIn := false
	for {
		m, err := read(out, true)
		if err != nil {
			return err
		}
		switch {
		case l.swallow.Load():
			if m.kind == 'Z' {
				return errCut
			}
			continue
		case loggedIn:
		case m.kind == 'Z':
			loggedIn = true
			l.proxy.count(l.user, true)
		case m.kind == 'E':
			l.proxy.count(l.user, false)
		}
		if _, err := l.client.Write(m.raw); err != nil {
			return err
		}
	}
}
