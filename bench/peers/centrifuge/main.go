// A server on the centrifuge library as its guide has it: clients with a token subscribe and publish. Its settings are
// the library's own, but for those that the flags name.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/golang-jwt/jwt/v5"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "where clients connect")
	secret := flag.String("secret", "", "the secret of the clients' HS256 tokens")
	redis := flag.String("redis", "", "HOST:PORT of the Redis whose engine is used; none: the memory engine")
	history := flag.Int("history", 0, "how many publications a channel keeps, with recovery and positions; 0: none")
	hook := flag.String("hook", "", "an URL that is asked, with a POST of its JSON, about each publication; none: nobody is")
	judge := flag.Bool("judge", false, "be what -hook asks: let everything pass, and nothing else")
	flag.Parse()
	if *judge {
		must(http.ListenAndServe(*listen, http.HandlerFunc(pass)))
	}

	node, err := centrifuge.New(centrifuge.Config{})
	must(err)
	if *redis != "" {
		shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: *redis})
		must(err)
		broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Shards: []*centrifuge.RedisShard{shard}})
		must(err)
		node.SetBroker(broker)
	}

	node.OnConnecting(func(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		claims := jwt.RegisteredClaims{}
		key := func(*jwt.Token) (any, error) { return []byte(*secret), nil }
		if _, err := jwt.ParseWithClaims(event.Token, &claims, key, jwt.WithValidMethods([]string{"HS256"})); err != nil {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: claims.Subject}}, nil
	})
	kept := *history > 0
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			options := centrifuge.SubscribeOptions{EnableRecovery: kept, EnablePositioning: kept}
			answer(centrifuge.SubscribeReply{Options: options}, nil)
		})
		client.OnPublish(func(event centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			if *hook != "" {
				if err := ask(*hook, event); err != nil {
					answer(centrifuge.PublishReply{}, err)
					return
				}
			}
			options := centrifuge.PublishOptions{}
			if kept {
				options.HistorySize, options.HistoryTTL = *history, time.Hour
			}
			answer(centrifuge.PublishReply{Options: options}, nil)
		})
	})
	must(node.Run())
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	must(http.ListenAndServe(*listen, nil))
}

// pass lets a publication pass, whatever it says.
func pass(answer http.ResponseWriter, question *http.Request) {
	if _, err := io.Copy(io.Discard, question.Body); err != nil {
		return // the one who asked has gone
	}
	answer.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(answer, `{"result":{}}`)
}

// ask asks whether a publication may pass, over a connection that is kept.
func ask(hook string, event centrifuge.PublishEvent) error {
	question, err := json.Marshal(map[string]any{"channel": event.Channel, "data": json.RawMessage(event.Data)})
	if err != nil {
		return err
	}
	said, err := http.Post(hook, "application/json", bytes.NewReader(question))
	if err != nil {
		return centrifuge.ErrorInternal
	}
	defer said.Body.Close()
	var verdict struct {
		Result *struct{} `json:"result"`
	}
	if err := json.NewDecoder(said.Body).Decode(&verdict); err != nil || verdict.Result == nil {
		return centrifuge.ErrorPermissionDenied
	}
	_, _ = io.Copy(io.Discard, said.Body) // only then the connection is kept
	return nil
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
