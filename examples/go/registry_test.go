package pull

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// server is the brokenreg of all tests: its addresses.
var server struct{ Registry, Control string }

var namespaces atomic.Int64

func TestMain(m *testing.M) {
	command := exec.Command("brokenreg", "serve", "--ephemeral", "--offline", "--listen=127.0.0.1:0", "--control=127.0.0.1:0")
	command.Stderr = os.Stderr
	stdin, _ := command.StdinPipe() // brokenreg stops when this closes, even if the tests crash
	stdout, _ := command.StdoutPipe()
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewDecoder(stdout).Decode(&server); err != nil {
		fmt.Fprintln(os.Stderr, "brokenreg did not start:", err)
		os.Exit(1)
	}
	status := m.Run()
	stdin.Close()
	command.Wait()
	os.Exit(status)
}

// play loads a scenario into a new namespace, and returns the URL of a repository there.
// When the test ends, every expectation must be met, and every rule must have been applied.
func play(t *testing.T, scenario string) string {
	t.Helper()
	namespace := fmt.Sprintf("test-%d", namespaces.Add(1))
	call(t, http.MethodPut, "/v1/scenario?namespace="+namespace, scenario, nil)
	t.Cleanup(func() {
		var verdicts []struct {
			Name, Filter, Wanted, Got string
			Met                       bool
		}
		call(t, http.MethodGet, "/v1/expectations?namespace="+namespace, "", &verdicts)
		for _, v := range verdicts {
			if !v.Met {
				t.Errorf("%s: %s: got %s, want %s", v.Name, v.Filter, v.Got, v.Wanted)
			}
		}
		var exchanges []struct {
			Method, Path string
			Status       int
			Faults       []string
		}
		call(t, http.MethodGet, "/v1/exchanges?namespace="+namespace, "", &exchanges)
		for _, e := range exchanges {
			t.Logf("%s %s: %d %v", e.Method, e.Path, e.Status, e.Faults)
		}
	})
	return server.Registry + "/v2/broken/in/" + namespace + "/broken/random"
}

func call(t *testing.T, method, path, body string, result any) {
	t.Helper()
	request, _ := http.NewRequest(method, server.Control+path, strings.NewReader(body))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		problem, _ := io.ReadAll(response.Body)
		t.Fatalf("%s %s: %s", method, path, problem)
	}
	if result != nil {
		if err := json.NewDecoder(response.Body).Decode(result); err != nil {
			t.Fatal(err)
		}
	}
}
