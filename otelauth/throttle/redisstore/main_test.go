// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// stormEnv makes the test binary one process of a storm on the Redis that it names.
const stormEnv = "REDISSTORE_STORM"

const stormProcesses, stormGuesses, stormGuessers = 4, 100, 64

// silence discards what go-redis logs about servers that the tests stop.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// children are the roles of this binary as a child process of a test, by the environment variable
// that selects them. The value of the variable is the address of Redis.
var children = map[string]func(addr string) error{stormEnv: guess}

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	for env, run := range children {
		if addr := os.Getenv(env); addr != "" {
			if err := run(addr); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// guess is one process of the storm. It prints "ready", and then the number of its guesses that
// reached the hash.
func guess(addr string) error {
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: stormGuessers})
	defer c.Close()
	s, err := redisstore.New(redisstore.Config{Client: c, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer s.Close()
	th, err := throttle.New(throttle.Config{Store: s, Key: budgettest.StormKey(), Limits: budgettest.StormLimits()})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	n, err := budgettest.Storm(ctx, th, strconv.Itoa(os.Getpid()), stormGuesses/stormProcesses, stormGuessers/stormProcesses)
	if err != nil {
		return err
	}
	if !s.Shared() {
		return fmt.Errorf("Redis was lost")
	}
	fmt.Println(n)
	return nil
}

// TestStormOfProcesses: of 100 distinct wrong guesses by 64 workers in 4 processes on a budget of
// 5, exactly 5 reach the hash.
func TestStormOfProcesses(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	type child struct {
		cmd *exec.Cmd
		out *bufio.Scanner
	}
	var children []child
	var starts []func()
	for range stormProcesses {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), stormEnv+"="+srv.Addr)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		children = append(children, child{cmd, bufio.NewScanner(out)})
		starts = append(starts, func() { fmt.Fprintln(in) })
	}
	for _, c := range children {
		if !c.out.Scan() || c.out.Text() != "ready" {
			t.Fatalf("a process printed %q", c.out.Text())
		}
	}
	for _, start := range starts {
		start()
	}
	total := 0
	var each []string
	for _, c := range children {
		if !c.out.Scan() {
			t.Fatal("a process printed nothing")
		}
		n, err := strconv.Atoi(c.out.Text())
		if err != nil {
			t.Fatalf("a process printed %q", c.out.Text())
		}
		each = append(each, c.out.Text())
		total += n
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("reached the hash, by process: %s", strings.Join(each, " "))
	if total != 5 {
		t.Errorf("%d guesses reached the hash; want exactly 5", total)
	}
}
