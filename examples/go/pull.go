// Package pull downloads images from a container registry, and verifies every digest.
package pull

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const manifestTypes = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

// Client sends each request up to Attempts times, and waits for Backoff, then twice as long, and so on.
type Client struct {
	Attempts int
	Backoff  time.Duration
}

// Pull returns the layers of an image. url is that of the repository: http://HOST/v2/NAME.
func (c Client) Pull(ctx context.Context, url, tag string) ([][]byte, error) {
	text, err := c.get(ctx, url+"/manifests/"+tag, "")
	if err != nil {
		return nil, err
	}
	var manifest struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, err
	}
	var layers [][]byte
	for _, layer := range manifest.Layers {
		blob, err := c.get(ctx, url+"/blobs/"+layer.Digest, layer.Digest)
		if err != nil {
			return nil, err
		}
		layers = append(layers, blob)
	}
	return layers, nil
}

func (c Client) get(ctx context.Context, url, digest string) ([]byte, error) {
	pause := c.Backoff
	for attempt := 1; ; attempt++ {
		body, again, wait, err := getOnce(ctx, url, digest)
		if err == nil || !again || attempt >= c.Attempts {
			return body, err
		}
		select {
		case <-time.After(max(pause, wait)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		pause *= 2
	}
}

// getOnce also returns whether another attempt makes sense, and how long the registry wants the client to wait.
func getOnce(ctx context.Context, url, digest string) (body []byte, again bool, wait time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, false, 0, err
	}
	request.Header.Set("Accept", manifestTypes)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, true, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		again = response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500
		return nil, again, time.Duration(seconds) * time.Second, fmt.Errorf("%s: %s", url, response.Status)
	}
	if body, err = io.ReadAll(response.Body); err != nil {
		return nil, true, 0, fmt.Errorf("%s: %w", url, err)
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(body)); digest != "" && got != digest {
		return nil, true, 0, fmt.Errorf("%s: wrong bytes: their digest is %s", url, got)
	}
	return body, false, 0, nil
}
