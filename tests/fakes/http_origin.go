// An origin that speaks one version of HTTP, and much of what that version has.
//
//	http_origin CERTIFICATE_AND_KEY VERSION@ADDRESS:PORT...
//
// VERSION is h1, or h2, beside which HTTP/1.1 is spoken, too, both over TLS; or plain: HTTP/1.1
// without TLS. Answers:
//
//	/any       "VERSION HOST PATH"
//	/bytes/N   N bytes
//	/digest    the length and SHA-256 of the request's body, and its trailers, as JSON
//	/headers   the request's fields as JSON
//	/trailers  "body", and a trailer
//	/sized     the same with a content-length, which HTTP/1 cannot have
//	/hints     103, then 200
//	/204, /304
//	/echo      the request's body, piece by piece
//	/stall/N   N bytes, and then nothing until the client is gone
//	/refuse    the body is not read: 413
//
// Each connection and each request is a JSON line on stdout.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

var lock sync.Mutex

func log(fields map[string]interface{}) {
	lock.Lock()
	defer lock.Unlock()
	json.NewEncoder(os.Stdout).Encode(fields)
}

func writeBytes(w http.ResponseWriter, count int64) {
	piece := []byte(strings.Repeat("0123456789abcdef", 2048))
	for count > 0 {
		if int64(len(piece)) > count {
			piece = piece[:count]
		}
		if _, err := w.Write(piece); err != nil {
			return
		}
		count -= int64(len(piece))
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	piece := make([]byte, 65536)
	for {
		count, err := r.Body.Read(piece)
		w.Write(piece[:count])
		w.(http.Flusher).Flush()
		if err != nil {
			return
		}
	}
}

func digest(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	length, err := io.Copy(hash, r.Body)
	if err != nil {
		log(map[string]interface{}{"event": "broken", "bytes": length})
		return
	}
	json.NewEncoder(w).Encode(map[string]interface{}{
		"bytes": length, "sha256": hex.EncodeToString(hash.Sum(nil)), "trailers": r.Trailer, "length": r.ContentLength})
}

func serve(w http.ResponseWriter, r *http.Request) {
	log(map[string]interface{}{"event": "request", "proto": r.Proto, "method": r.Method, "host": r.Host,
		"path": r.URL.Path, "peer": r.RemoteAddr})
	part := strings.Split(r.URL.Path, "/")
	switch part[1] {
	case "bytes":
		count, _ := strconv.ParseInt(part[2], 10, 64)
		w.Header().Set("content-length", part[2])
		if r.Method != "HEAD" {
			writeBytes(w, count)
		}
	case "digest":
		digest(w, r)
	case "headers":
		json.NewEncoder(w).Encode(r.Header)
	case "trailers", "sized":
		w.Header().Set("trailer", "x-checksum")
		if part[1] == "sized" {
			w.Header().Set("content-length", "4")
		}
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("x-checksum", "1")
	case "hints":
		w.Header().Set("link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(200)
		io.WriteString(w, "body")
	case "204", "304":
		status, _ := strconv.Atoi(part[1])
		w.Header().Set("etag", "\"1\"")
		w.WriteHeader(status)
	case "echo":
		echo(w, r)
	case "stall":
		count, _ := strconv.ParseInt(part[2], 10, 64)
		writeBytes(w, count)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		log(map[string]interface{}{"event": "given up", "path": r.URL.Path})
	case "refuse":
		w.WriteHeader(413)
		io.WriteString(w, "too much")
	default:
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, r.URL.Path)
	}
}

func listen(certificate tls.Certificate, version, address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(serve),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ConnState: func(connection net.Conn, state http.ConnState) {
			if state == http.StateNew {
				log(map[string]interface{}{"event": "connection", "address": address})
			}
		},
	}
	if version == "h1" {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if version == "plain" {
		go server.Serve(listener)
	} else {
		go server.ServeTLS(listener, "", "")
	}
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[1], os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, argument := range os.Args[2:] {
		version, address, _ := strings.Cut(argument, "@")
		listen(certificate, version, address)
	}
	log(map[string]interface{}{"event": "ready"})
	io.Copy(io.Discard, os.Stdin)
}
