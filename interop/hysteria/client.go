package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"github.com/apernet/hysteria/core/v2/client"
)

// front is a SOCKS5 port that leads through one server. Root is a file with the certificates that are trusted, in PEM.
// Bandwidth is in bytes per second, 0 leaves it to congestion control.
type front struct {
	Listen    string
	Server    string
	Name      string
	Root      string
	Auth      string
	Obfs      *disguise
	Bandwidth uint64
}

// New opens the socket to a server, with the disguise of the front.
func (f front) New(net.Addr) (net.PacketConn, error) {
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	return f.Obfs.wrap(socket)
}

func (f front) config() (*client.Config, error) {
	address, err := net.ResolveUDPAddr("udp", f.Server)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(f.Root)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate", f.Root)
	}
	return &client.Config{
		ConnFactory:     f,
		ServerAddr:      address,
		Auth:            f.Auth,
		TLSConfig:       client.TLSConfig{ServerName: f.Name, RootCAs: roots},
		BandwidthConfig: client.BandwidthConfig{MaxTx: f.Bandwidth, MaxRx: f.Bandwidth},
	}, nil
}

func connect(file string) error {
	var fronts []front
	if err := read(file, &fronts); err != nil {
		return err
	}
	ended := make(chan error)
	for _, front := range fronts {
		listener, err := net.Listen("tcp", front.Listen)
		if err != nil {
			return err
		}
		// It connects with the first request.
		hysteria, err := client.NewReconnectableClient(front.config, nil, true)
		if err != nil {
			return fmt.Errorf("%s: %w", front.Server, err)
		}
		go func() { ended <- serveSocks(listener, hysteria) }()
	}
	return <-ended
}
