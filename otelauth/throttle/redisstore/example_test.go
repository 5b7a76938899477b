// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// Example shares budgets between the processes with the same Prefix and the same Key.
func Example() {
	store, err := redisstore.New(redisstore.Config{
		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:6379"}}),
		Prefix: "orders",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	guesses, err := throttle.New(throttle.Config{
		Store: store,
		Key:   []byte("32 random bytes from your secrets"),
	})
	fmt.Println(guesses != nil, err)
	// For a health page: whether the budgets are shared now.
	health := store.Shared
	_ = health
	// Output: true <nil>
}
