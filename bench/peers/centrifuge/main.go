// A server on the centrifuge library as its guide has it: clients with a token subscribe and publish. Its settings are
// the library's own, but for those that the flags name.
package main

import (
	"context"
	"flag"
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
	flag.Parse()

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
		client.OnPublish(func(_ centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
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

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
