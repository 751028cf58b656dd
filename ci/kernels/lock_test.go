package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestTwoAtOnce(t *testing.T) {
	m, c, e := one(t)
	const n = 4
	waits := make(chan struct{}, n)
	m.catch(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, ".deb") {
			for range n - 1 {
				<-waits // until all others wait
			}
		}
		return false
	})
	var all sync.WaitGroup
	got := make([]Kernel, n)
	for i := range n {
		all.Go(func() {
			var err error
			got[i], err = (&Cache{Dir: c.Dir}).Fetch(t.Context(), e, func(s Step) {
				if s.Phase == "wait for another cellwall" {
					waits <- struct{}{}
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, k := range got {
		if k != got[0] || k.Image == "" {
			t.Errorf("got %+v", got)
		}
	}
	if n := m.asked(".deb"); n != 1 {
		t.Errorf("the package was fetched %d times", n)
	}
	if got := names(t, c); !slices.Equal(got, []string{key(e)}) {
		t.Errorf("the cache holds %v", got)
	}
}

func TestInterrupted(t *testing.T) {
	m, c, e := one(t)
	ctx, cancel := context.WithCancel(t.Context())
	stalled, left := m.stall()
	go func() {
		<-stalled
		cancel()
	}()
	if _, err := c.Fetch(ctx, e, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-left // by apt
	if got := names(t, c); len(got) > 0 {
		t.Errorf("the cache holds %v", got)
	}
	m.catch(nil)
	if _, err := c.Fetch(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
}

func TestKilled(t *testing.T) {
	if in := os.Getenv("CELLWALL_TEST_KILLED"); in != "" {
		var e Entry
		if err := json.Unmarshal([]byte(in), &e); err != nil {
			t.Fatal(err)
		}
		_, err := (&Cache{Dir: os.Getenv("CELLWALL_TEST_CACHE")}).Fetch(t.Context(), e, nil)
		t.Fatalf("it was not killed: %v", err)
	}
	m, c, e := one(t)
	stalled, left := m.stall()
	in, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "CELLWALL_TEST_KILLED="+string(in), "CELLWALL_TEST_CACHE="+c.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-stalled
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
	<-left         // by apt
	if got := names(t, c); len(got) != 1 || !strings.HasPrefix(got[0], unfinished) {
		t.Errorf("the cache holds %v", got)
	}
	m.catch(nil)
	if _, err := c.Fetch(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	if got := names(t, c); !slices.Equal(got, []string{key(e)}) {
		t.Errorf("the cache holds %v", got)
	}
}

func TestLockIsLeft(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	unlock, err := c.lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.lock(ctx, func(Step) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = c.lock(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
