package pull

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"
)

const image = "layers-2_size-64KiB"

// client retries, unless the environment says ATTEMPTS=1.
func client() Client {
	attempts, err := strconv.Atoi(os.Getenv("ATTEMPTS"))
	if err != nil {
		attempts = 4
	}
	return Client{Attempts: attempts, Backoff: 50 * time.Millisecond}
}

func TestRetries(t *testing.T) {
	repository := play(t, `
rules:
  - {name: fails twice, match: {endpoint: manifest}, fault: {type: error, status: 503}, times: 2}
  - {name: cut off, match: {endpoint: layer}, fault: {type: truncate, after: 16KiB}, times: 1}
expect:
  - {name: gets all layers, filter: "endpoint:layer status:200 ended:complete", count: 2}
`)
	if _, err := client().Pull(context.Background(), repository, image); err != nil {
		t.Error(err)
	}
}

func TestWaitsForRetryAfter(t *testing.T) {
	repository := play(t, `
rules:
  - {name: the rate limit, match: {endpoint: manifest}, fault: {type: rate-limit, window: 1s}, times: 1}
expect:
  - {name: waits, filter: "retry-after:honoured status:200", count: 1}
  - {name: asks again, filter: "endpoint:manifest status:200", count: 1}
`)
	if _, err := client().Pull(context.Background(), repository, image); err != nil {
		t.Error(err)
	}
}

func TestRefusesWrongBytes(t *testing.T) {
	repository := play(t, `
rules:
  - {name: wrong bytes, match: {endpoint: layer}, fault: corrupt}
`)
	if _, err := client().Pull(context.Background(), repository, image); err == nil {
		t.Error("the client accepted wrong bytes")
	}
}
