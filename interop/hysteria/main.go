// Hysteria's own libraries as a program: `hysteria FILE` serves every entry of a JSON file, and `hysteria client FILE` opens a
// SOCKS5 port for every entry of one, until it is ended.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/apernet/hysteria/core/v2/server"
	"github.com/apernet/hysteria/extras/v2/auth"
	"github.com/apernet/hysteria/extras/v2/obfs"
)

// listener is one server. Bandwidth is in bytes per second, 0 leaves it to congestion control.
type listener struct {
	Listen    string
	Cert      string
	Key       string
	Password  string
	Obfs      *disguise
	Bandwidth uint64
}

type disguise struct {
	Type     string
	Password string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 1:
		return serve(arguments[0])
	case len(arguments) == 2 && arguments[0] == "client":
		return connect(arguments[1])
	}
	return fmt.Errorf("usage: hysteria [client] FILE")
}

// read reads the entries of a JSON file.
func read(file string, entries any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, entries); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func serve(file string) error {
	var listeners []listener
	if err := read(file, &listeners); err != nil {
		return err
	}
	ended := make(chan error)
	for _, listener := range listeners {
		server, err := listener.open()
		if err != nil {
			return fmt.Errorf("%s: %w", listener.Listen, err)
		}
		go func() { ended <- server.Serve() }()
	}
	return <-ended
}

func (l listener) open() (server.Server, error) {
	certificate, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenPacket("udp", l.Listen)
	if err != nil {
		return nil, err
	}
	if socket, err = l.Obfs.wrap(socket); err != nil {
		return nil, err
	}
	return server.NewServer(&server.Config{
		TLSConfig:       server.TLSConfig{Certificates: []tls.Certificate{certificate}},
		Conn:            socket,
		BandwidthConfig: server.BandwidthConfig{MaxTx: l.Bandwidth, MaxRx: l.Bandwidth},
		Authenticator:   &auth.PasswordAuthenticator{Password: l.Password},
	})
}

func (d *disguise) wrap(socket net.PacketConn) (net.PacketConn, error) {
	switch {
	case d == nil:
		return socket, nil
	case d.Type == "salamander":
		return obfs.WrapPacketConnSalamander(socket, []byte(d.Password))
	case d.Type == "gecko":
		return obfs.WrapPacketConnGecko(socket, obfs.GeckoOptions{Password: []byte(d.Password)})
	}
	return nil, fmt.Errorf("unknown obfs %q", d.Type)
}
