// Hysteria's own server library as a program: it serves every entry of a JSON file, until it is ended.
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
	if len(arguments) != 1 {
		return fmt.Errorf("usage: hysteria FILE")
	}
	text, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	var listeners []listener
	if err := json.Unmarshal(text, &listeners); err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
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
