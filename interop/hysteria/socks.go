package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/apernet/hysteria/core/v2/client"
)

// SOCKS5 without a login (RFC 1928): CONNECT and UDP ASSOCIATE.
const (
	version   = 5
	connectTo = 1
	associate = 3
	succeeded = 0
	failed    = 1
)

var anywhere = []byte{1, 0, 0, 0, 0, 0, 0}

// serveSocks serves the clients of a port through a server.
func serveSocks(listener net.Listener, hysteria client.Client) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			if err := speak(connection.(*net.TCPConn), hysteria); err != nil {
				fmt.Println(err)
			}
		}()
	}
}

func speak(connection *net.TCPConn, hysteria client.Client) error {
	greeting := make([]byte, 2)
	if _, err := io.ReadFull(connection, greeting); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, connection, int64(greeting[1])); err != nil {
		return err
	}
	if _, err := connection.Write([]byte{version, 0}); err != nil {
		return err
	}
	request := make([]byte, 3)
	if _, err := io.ReadFull(connection, request); err != nil {
		return err
	}
	target, err := readAddress(connection)
	if err != nil {
		return err
	}
	switch request[1] {
	case connectTo:
		return tunnel(connection, hysteria, target)
	case associate:
		return relay(connection, hysteria)
	}
	return fmt.Errorf("unknown command %d", request[1])
}

func answer(connection net.Conn, code byte, address []byte) error {
	_, err := connection.Write(append([]byte{version, code, 0}, address...))
	return err
}

// tunnel joins a client with its target until one direction has ended: the library cannot end one alone.
func tunnel(connection *net.TCPConn, hysteria client.Client, target string) error {
	stream, err := hysteria.TCP(target)
	if err != nil {
		return errors.Join(err, answer(connection, failed, anywhere))
	}
	defer stream.Close()
	if err := answer(connection, succeeded, anywhere); err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(stream, connection)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(connection, stream)
		if err != nil {
			// The client must not take what it has for everything.
			_ = connection.SetLinger(0)
		}
		ended <- err
	}()
	return <-ended
}

// relay carries datagrams until the client ends the connection.
func relay(connection *net.TCPConn, hysteria client.Client) error {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer socket.Close()
	session, err := hysteria.UDP()
	if err != nil {
		return errors.Join(err, answer(connection, failed, anywhere))
	}
	defer session.Close()
	here, err := writeAddress(socket.LocalAddr().String())
	if err != nil {
		return err
	}
	if err := answer(connection, succeeded, here); err != nil {
		return err
	}
	go func() {
		var buffer [65536]byte
		for begun := false; ; {
			length, from, err := socket.ReadFromUDP(buffer[:])
			if err != nil {
				return
			}
			packet := bytes.NewReader(buffer[:length])
			if _, err := packet.Seek(3, io.SeekStart); err != nil {
				continue
			}
			target, err := readAddress(packet)
			if err != nil {
				continue
			}
			payload, _ := io.ReadAll(packet)
			if err := session.Send(payload, target); err != nil {
				fmt.Println(err)
			}
			if !begun {
				begun = true
				go deliver(socket, from, session)
			}
		}
	}()
	_, err = io.Copy(io.Discard, connection)
	return err
}

// deliver brings what comes back to the client.
func deliver(socket *net.UDPConn, to *net.UDPAddr, session client.HyUDPConn) {
	for {
		payload, from, err := session.Receive()
		if err != nil {
			return
		}
		address, err := writeAddress(from)
		if err != nil {
			continue
		}
		_, _ = socket.WriteToUDP(append(append([]byte{0, 0, 0}, address...), payload...), to)
	}
}

func readAddress(reader io.Reader) (string, error) {
	kind := make([]byte, 1)
	if _, err := io.ReadFull(reader, kind); err != nil {
		return "", err
	}
	lengths := map[byte]int{1: net.IPv4len, 4: net.IPv6len}
	length := lengths[kind[0]]
	if kind[0] == 3 {
		if _, err := io.ReadFull(reader, kind); err != nil {
			return "", err
		}
		length, kind[0] = int(kind[0]), 3
	}
	text := make([]byte, length+2)
	if _, err := io.ReadFull(reader, text); err != nil {
		return "", err
	}
	host, port := string(text[:length]), binary.BigEndian.Uint16(text[length:])
	if kind[0] != 3 {
		host = net.IP(text[:length]).String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

func writeAddress(address string) ([]byte, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	var written []byte
	switch ip := net.ParseIP(host); {
	case ip.To4() != nil:
		written = append([]byte{1}, ip.To4()...)
	case ip != nil:
		written = append([]byte{4}, ip...)
	default:
		written = append([]byte{3, byte(len(host))}, host...)
	}
	return binary.BigEndian.AppendUint16(written, uint16(number)), nil
}
