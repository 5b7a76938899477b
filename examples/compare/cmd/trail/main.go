// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command trail measures durable appends: a bare loop of writes and flushes, the trail, and
// Tessera's POSIX driver, on the same disk in one run. Then it measures what the trail adds to an
// HTTP request with a cached credential. docs/benchmarks.md has its tables.
//
//	go run ./cmd/trail -dir DIR
//
// DIR is on the disk that is measured.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// lineBytes is about the size of the line of an attempt.
const lineBytes = 460

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "", "folder on the disk that is measured; default: the folder for temporary files")
	duration := flag.Duration("for", 5*time.Second, "time of one measurement")
	rounds := flag.Int("rounds", 3, "rounds, of which the median counts")
	only := flag.String("only", "", "appends or requests; default: both")
	flag.Parse()
	work, err := os.MkdirTemp(*dir, "trail-bench")
	if err != nil {
		log.Fatal(err)
	}
	if *only != "requests" {
		err = run(work, *duration, *rounds)
	}
	if err == nil && *only != "appends" {
		err = requests(work, *duration, *rounds)
	}
	_ = os.RemoveAll(work)
	if err != nil {
		log.Fatal(err)
	}
}

// contender is one way to append durably.
type contender struct {
	name string
	open func(dir string) (add func() error, stop func() error, err error)
}

var contenders = []contender{
	{"bare write and flush", openBare},
	{"trail, required", openTrail},
	{"Tessera POSIX, default batches", openTessera(tessera.DefaultBatchMaxSize, tessera.DefaultBatchMaxAge)},
	{"Tessera POSIX, batches of 1 ms", openTessera(1024, time.Millisecond)},
}

func run(work string, duration time.Duration, rounds int) error {
	flushes, err := bareFlushes(context.Background(), filepath.Join(work, "flush"), 0)
	if err != nil {
		return err
	}
	fmt.Printf("file system %s, median of a bare flush %v\n\n", fileSystem(work), quantile(flushes, 50))
	fmt.Println("| durable appends | writers | lines/s | p50 | p99 |\n| --- | --- | --- | --- | --- |")
	for _, writers := range []int{1, 64, 1024} {
		for _, c := range contenders {
			var all []figures
			for round := range rounds {
				f, err := measure(filepath.Join(work, fmt.Sprint(c.name, writers, round)), c, writers, duration)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				all = append(all, f)
			}
			slices.SortFunc(all, func(a, b figures) int { return int(a.rate - b.rate) })
			f := all[len(all)/2]
			fmt.Printf("| %s | %d | %.0f | %v | %v |\n", c.name, writers, f.rate,
				f.p50.Round(10*time.Microsecond), f.p99.Round(10*time.Microsecond))
		}
	}
	return nil
}

type figures struct {
	rate     float64 // lines a second
	p50, p99 time.Duration
}

func measure(dir string, c contender, writers int, duration time.Duration) (figures, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return figures{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	add, stop, err := c.open(dir)
	if err != nil {
		return figures{}, err
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		all    []time.Duration
		failed error
	)
	start := time.Now()
	for range writers {
		wg.Go(func() {
			var own []time.Duration
			for time.Since(start) < duration {
				began := time.Now()
				if err := add(); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			all = append(all, own...)
			mu.Unlock()
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if err := stop(); err != nil {
		return figures{}, err
	}
	if failed != nil || len(all) == 0 {
		return figures{}, fmt.Errorf("an append failed: %w", failed)
	}
	slices.Sort(all)
	return figures{float64(len(all)) / elapsed.Seconds(), all[len(all)/2], all[len(all)*99/100]}, nil
}

// maxFlushes bounds what bareFlushes measures.
const maxFlushes = 1000

// bareFlushes returns the times of writing a line and flushing it, in order. It waits for pause
// after each, and stops when ctx ends.
func bareFlushes(ctx context.Context, name string, pause time.Duration) ([]time.Duration, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	line := bytes.Repeat([]byte("x"), lineBytes)
	var all []time.Duration
	for len(all) < maxFlushes && ctx.Err() == nil {
		time.Sleep(pause)
		start := time.Now()
		if _, err := f.Write(line); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all, nil
}

func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown"
	}
	names := map[int64]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs"}
	if name := names[st.Type]; name != "" {
		return name
	}
	return fmt.Sprintf("%#x", st.Type)
}

// openBare opens a loop that writes and flushes whatever waits: the upper bound of a group commit.
func openBare(dir string) (func() error, func() error, error) {
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return nil, nil, err
	}
	line := bytes.Repeat([]byte("x"), lineBytes)
	requests := make(chan chan error, 1024)
	go func() {
		var (
			buf     []byte
			waiting []chan error
		)
		for first := range requests {
			buf, waiting = append(buf[:0], line...), append(waiting[:0], first)
			for len(requests) > 0 {
				waiting = append(waiting, <-requests)
				buf = append(buf, line...)
			}
			_, err := f.Write(buf)
			if err == nil {
				err = unix.Fdatasync(int(f.Fd()))
			}
			for _, w := range waiting {
				w <- err
			}
		}
	}()
	replies := sync.Pool{New: func() any { return make(chan error, 1) }}
	add := func() error {
		reply, _ := replies.Get().(chan error)
		defer replies.Put(reply)
		requests <- reply
		return <-reply
	}
	return add, func() error { close(requests); return f.Close() }, nil
}

func openTrail(dir string) (func() error, func() error, error) {
	key, err := trail.GenerateKey(rand.Reader, "bench.example/trail")
	if err != nil {
		return nil, nil, err
	}
	t, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Key: key})
	if err != nil {
		return nil, nil, err
	}
	client := netip.MustParseAddr("192.0.2.7")
	type verdict struct {
		req attempt.Request
		res attempt.Result
	}
	verdicts := sync.Pool{New: func() any { // as the replies of the bare loop
		return &verdict{attempt.Request{
			Context: context.Background(), Scheme: attempt.SchemeBasic, Method: "GET", Route: "/orders/{id}",
			Path: "/orders/7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			Client: client, ClientText: "192.0.2.7", Peer: netip.AddrPortFrom(client, 40000),
		}, attempt.Result{Outcome: attempt.Success, UserName: "alice", UserHash: "k1:0123456789abcdef0123456789abcdef"}}
	}}
	add := func() error {
		v, _ := verdicts.Get().(*verdict)
		defer verdicts.Put(v)
		v.req.Time = time.Now()
		return t.Decide(v.req.Context, &v.req, &v.res)
	}
	return add, func() error { return t.Close(context.Background()) }, nil
}

func openTessera(size uint, age time.Duration) func(string) (func() error, func() error, error) {
	return func(dir string) (func() error, func() error, error) {
		private, _, err := note.GenerateKey(rand.Reader, "bench.example/tessera")
		if err != nil {
			return nil, nil, err
		}
		signer, err := note.NewSigner(private)
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		driver, err := posix.New(ctx, posix.Config{Path: dir})
		if err != nil {
			cancel()
			return nil, nil, err
		}
		appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
			WithCheckpointSigner(signer).WithBatching(size, age).WithPushback(1<<16).WithCheckpointInterval(time.Second))
		if err != nil {
			cancel()
			return nil, nil, err
		}
		line := bytes.Repeat([]byte("x"), lineBytes)
		add := func() error {
			_, err := appender.Add(ctx, tessera.NewEntry(line))()
			return err
		}
		return add, func() error { defer cancel(); return shutdown(context.Background()) }, nil
	}
}
