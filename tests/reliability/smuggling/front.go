// Go's own reverse proxy in front of airoxy: go run front.go PORT BACKEND
package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

func main() {
	backend, err := url.Parse(os.Args[2])
	if err != nil {
		panic(err)
	}
	front := httputil.NewSingleHostReverseProxy(backend)
	front.Transport = &http.Transport{
		// With a time for this, Go sends a head first and waits for 100 before the body.
		ExpectContinueTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   1,
		MaxConnsPerHost:       1,
	}
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], front))
}
