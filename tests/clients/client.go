// Go's HTTP client as programs use it, with what the environment trusts and resolves.
//
//	client URL           asks the paths of clients/web_site.py, and prints a line for each
//	client URL events    prints the lines of /events as they come
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
)

const size = 5_000_000

// Zeros whose length nobody knows beforehand.
type zeros struct{ left int }

func (z *zeros) Read(buffer []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	if len(buffer) > z.left {
		buffer = buffer[:z.left]
	}
	for i := range buffer {
		buffer[i] = 0
	}
	z.left -= len(buffer)
	return len(buffer), nil
}

func text(response *http.Response, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(body)
}

func put(url string, body io.Reader, length int64) string {
	request, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		log.Fatal(err)
	}
	request.ContentLength = length
	request.Header.Set("Expect", "100-continue")
	return text(http.DefaultClient.Do(request))
}

func main() {
	url := os.Args[1]
	if len(os.Args) > 2 {
		response, err := http.Get(url + "/events")
		if err != nil {
			log.Fatal(err)
		}
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			fmt.Println(lines.Text())
		}
		return
	}
	response, err := http.Get(url + "/get")
	fmt.Println(text(response, err), response.Proto)
	fmt.Println(text(http.Get(url + "/redirect?" + url + "/there")))
	fmt.Println(put(url+"/digest", &zeros{size}, size))
	fmt.Println(put(url+"/digest", &zeros{size}, -1))
	fmt.Println(len(text(http.Get(url + "/bytes/5000000"))))
	fmt.Println(strings.Count(text(http.Get(url+"/page")), "\n"))

	var group sync.WaitGroup
	answers := make([]string, 50)
	for i := range answers {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			answers[i] = text(http.Get(fmt.Sprintf("%s/bytes/%d", url, 1000+i)))
		}(i)
	}
	group.Wait()
	sum := 0
	for _, answer := range answers {
		sum += len(answer)
	}
	fmt.Println(sum)
}
