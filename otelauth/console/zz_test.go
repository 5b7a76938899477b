package console_test
import ("testing";"os";"time";"github.com/otelauth/otelauth-go/internal/testkit/browser")
func TestZZ(t *testing.T) {
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.attacked()
	goTo(p, "episodes")
	p.Click(".grid.episodes .body .row a")
	p.AwaitText(".view-episode", "198.51.100.0/24")
	<-time.After(time.Second)
	p.View(browser.View{Width:1280,Height:1300})
	os.WriteFile("/tmp/h14-ep.png", p.Screenshot("png"), 0o644)
	t.Log(browser.Eval[string](p, "document.querySelector('.view-episode').innerText"))
	t.Log(p.Problems())
}
