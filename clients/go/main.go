// A cut link loses nothing: A listens, A's link is cut, B speaks meanwhile, A comes back by itself and must be given
// exactly what it missed, in order. The stock Go client, in Protobuf. Prints a JSON summary; exit code 0 only if that is
// what happened.
//
//	go run . [URL [URL of B's hub]]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

const (
	urlDefault = "ws://127.0.0.1:8000/connection/websocket"
	before     = 3  // heard while the link is whole
	missed     = 10 // said while it is cut
	after      = 3  // heard once it is whole again
)

// Message is what is said here.
type Message struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

// Link makes connections that can be cut without a goodbye.
type Link struct {
	mutex sync.Mutex
	open  []net.Conn
	isCut bool
}

// Dial opens a connection, unless the link is cut.
func (l *Link) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.isCut {
		return nil, errors.New("the link is cut")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		l.open = append(l.open, conn)
	}
	return conn, err
}

// Cut ends every connection and refuses new ones until Mend.
func (l *Link) Cut() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.isCut = true
	count := len(l.open)
	for _, conn := range l.open {
		_ = conn.Close() // already gone is as good as cut
	}
	l.open = nil
	return count
}

// Mend lets connections through again.
func (l *Link) Mend() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.isCut = false
}

func client(url, user string, link *Link) (*centrifuge.Client, error) {
	data, err := json.Marshal(map[string]string{"user": user})
	return centrifuge.NewProtobufClient(url, centrifuge.Config{
		Data:              data,
		Token:             os.Getenv("CONFAB_TOKEN"),
		Proxy:             noProxy,
		NetDialContext:    link.Dial,
		MinReconnectDelay: 100 * time.Millisecond,
		MaxReconnectDelay: time.Second,
	}), err
}

// The hub is on this machine, so a proxy that the environment names is not asked.
func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// within is what comes from the channel, or an error that says what did not come in time.
func within[T any](span time.Duration, what string, coming <-chan T) (T, error) {
	select {
	case came := <-coming:
		return came, nil
	case <-time.After(span):
		var none T
		return none, fmt.Errorf("not within %s: %s", span, what)
	}
}

// tell never blocks the client's own loop; the channels are wide enough for all that the story expects.
func tell[T any](channel chan<- T, what T) {
	select {
	case channel <- what:
	default:
	}
}

func story(urlOfA, urlOfB string) error {
	room := fmt.Sprintf("drop-and-recover:go%x", rand.Uint64())
	link := &Link{}
	a, err := client(urlOfA, "ada", link)
	if err != nil {
		return err
	}
	b, err := client(urlOfB, "bob", &Link{})
	if err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()

	lost := make(chan struct{}, 8)
	a.OnConnecting(func(event centrifuge.ConnectingEvent) {
		if event.Code != 0 { // 0 is our own call of Connect
			tell(lost, struct{}{})
		}
	})
	listening, err := a.NewSubscription(room)
	if err != nil {
		return err
	}
	speaking, err := b.NewSubscription(room)
	if err != nil {
		return err
	}
	joined := make(chan centrifuge.SubscribedEvent, 8)
	ready := make(chan centrifuge.SubscribedEvent, 8)
	heard := make(chan centrifuge.PublicationEvent, 64)
	listening.OnSubscribed(func(event centrifuge.SubscribedEvent) { tell(joined, event) })
	speaking.OnSubscribed(func(event centrifuge.SubscribedEvent) { tell(ready, event) })
	listening.OnPublication(func(event centrifuge.PublicationEvent) { tell(heard, event) })
	for _, begin := range []func() error{a.Connect, b.Connect, listening.Subscribe, speaking.Subscribe} {
		if err := begin(); err != nil {
			return err
		}
	}
	if _, err := within(15*time.Second, "A in the room", joined); err != nil {
		return err
	}
	if _, err := within(15*time.Second, "B in the room", ready); err != nil {
		return err
	}

	n := 0
	say := func(count int) error {
		for range count {
			n++
			data, err := json.Marshal(Message{N: n, Text: fmt.Sprintf("number %d", n)})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_, err = speaking.Publish(ctx, data)
			cancel()
			if err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
		return nil
	}
	var said []int
	var offsets []uint64
	listen := func(count int) error {
		for range count {
			event, err := within(30*time.Second, "A hears B", heard)
			if err != nil {
				return err
			}
			var message Message
			if err := json.Unmarshal(event.Data, &message); err != nil {
				return err
			}
			said, offsets = append(said, message.N), append(offsets, event.Offset)
		}
		return nil
	}

	if err := errors.Join(say(before), listen(before)); err != nil {
		return err
	}
	cut := link.Cut()
	if _, err := within(10*time.Second, "A notices the cut", lost); err != nil {
		return err
	}
	if err := say(missed); err != nil {
		return err
	}
	silent := len(heard) == 0
	link.Mend()
	back, err := within(30*time.Second, "A comes back", joined)
	if err != nil {
		return err
	}
	if err := errors.Join(say(after), listen(missed+after)); err != nil {
		return err
	}

	wanted := make([]int, before+missed+after)
	gapless := true
	for i := range wanted {
		wanted[i] = i + 1
		gapless = gapless && (i == 0 || offsets[i] == offsets[i-1]+1)
	}
	complete := slices.Equal(said, wanted) && len(heard) == 0
	ok := cut > 0 && silent && back.WasRecovering && back.Recovered && complete && gapless
	summary, err := json.Marshal(map[string]any{
		"ok": ok, "room": room, "cut": cut, "missed": missed, "silent": silent, "wasRecovering": back.WasRecovering,
		"recovered": back.Recovered, "complete": complete, "gapless": gapless, "said": said, "offsets": offsets,
	})
	fmt.Println(string(summary))
	if err == nil && !ok {
		err = errors.New("it did not come out right")
	}
	return err
}

func main() {
	urls := os.Args[1:]
	if len(urls) == 0 {
		urls = []string{urlDefault}
	}
	if err := story(urls[0], urls[len(urls)-1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
