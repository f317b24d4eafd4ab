package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	dialTimeout = 20 * time.Second
	bufferBytes = 65_536
)

// Target is where requests go. net/http costs several times what its requests cost here, and on a machine with two
// cores the generator's share is taken from the contenders: hence these few lines of HTTP/1.1.
type Target struct {
	address string
	prefix  string
	tls     *tls.Config
	headers string
	// Set for origins whose cipher is not ours to choose.
	anyCipher bool
}

func newTarget(spec Spec) (*Target, error) {
	base, err := url.Parse(spec.URL)
	if err != nil || base.Scheme != "https" {
		return nil, fmt.Errorf("not an https URL: %q", spec.URL)
	}
	pem, err := os.ReadFile(spec.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", spec.CAFile)
	}
	config := &tls.Config{
		RootCAs:    roots,
		ServerName: base.Hostname(),
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
		// A resumed handshake would favour whoever is dialled second.
		SessionTicketsDisabled: true,
		// The first packets are small by default, for the sake of browsers.
		DynamicRecordSizingDisabled: true,
	}
	if spec.CertPEM != "" {
		pair, err := tls.X509KeyPair([]byte(spec.CertPEM), []byte(spec.KeyPEM))
		if err != nil {
			return nil, errors.New("the client certificate or its key cannot be read")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	headers := "Host: " + base.Host + "\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
	if spec.Token != "" {
		headers += "Authorization: Bearer " + spec.Token + "\r\n"
	}
	return &Target{
		address:   base.Host,
		prefix:    base.Path,
		tls:       config,
		headers:   headers,
		anyCipher: spec.Insecure,
	}, nil
}

// Conn is one keep-alive connection.
type Conn struct {
	*tls.Conn
	in  *bufio.Reader
	buf []byte
}

func (t *Target) dial() (*Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	conn, err := tls.DialWithDialer(dialer, "tcp", t.address, t.tls)
	if err != nil {
		return nil, err
	}
	suite := conn.ConnectionState().CipherSuite
	if suite != tls.TLS_AES_128_GCM_SHA256 && !t.anyCipher {
		conn.Close()
		return nil, fmt.Errorf("%s chose %s: not what the others are measured with", t.address, tls.CipherSuiteName(suite))
	}
	return &Conn{Conn: conn, in: bufio.NewReaderSize(conn, bufferBytes), buf: make([]byte, bufferBytes)}, nil
}

// Request renders a whole request head.
func (t *Target) request(method, path, more string) []byte {
	return []byte(method + " " + t.prefix + path + " HTTP/1.1\r\n" + t.headers + more + "\r\n")
}

// Head is what matters of an answer's head.
type Head struct {
	status  int
	length  int64
	chunked bool
}

func (c *Conn) readHead() (Head, error) {
	head := Head{length: -1}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return head, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return head, fmt.Errorf("not an HTTP/1.1 answer: %.40q", line)
	}
	if head.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return head, err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return head, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return head, nil
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimSpace(value)
		if bytes.EqualFold(name, []byte("content-length")) {
			if head.length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return head, err
			}
		}
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			head.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

// ReadBody hands the body to take, piece by piece, and returns its length.
func (c *Conn) readBody(head Head, take func([]byte)) (int64, error) {
	if !head.chunked {
		if head.length < 0 {
			return 0, errors.New("an answer without a length")
		}
		return head.length, c.readExactly(head.length, take)
	}
	var total int64
	for {
		size, err := c.readChunkSize()
		if err != nil {
			return total, err
		}
		if err := c.readExactly(size, take); err != nil {
			return total, err
		}
		// The line end after a chunk, or after the last one's empty trailer.
		if _, err := c.in.Discard(2); err != nil || size == 0 {
			return total, err
		}
		total += size
	}
}

func (c *Conn) readChunkSize() (int64, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
}

func (c *Conn) readExactly(size int64, take func([]byte)) error {
	for size > 0 {
		n, err := c.in.Read(c.buf[:min(size, int64(len(c.buf)))])
		take(c.buf[:n])
		size -= int64(n)
		if err == io.EOF && size > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// Get makes one request; anything but a 200 is an error, because a benchmark of errors is worthless.
func (c *Conn) get(request []byte, take func([]byte)) (int64, error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	head, err := c.readHead()
	if err != nil {
		return 0, err
	}
	if head.status != 200 {
		var text []byte
		c.readBody(head, func(b []byte) { text = append(text, b...) })
		return 0, fmt.Errorf("answered with %d: %.300s", head.status, text)
	}
	return c.readBody(head, take)
}
