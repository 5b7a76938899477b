package peers
import "net/http"
var ours = Peer{Name: "otelauth", Title: "otelauth", Open: true, New: func(_ []User, next http.Handler) (*Service, error) { return &Service{Handler: next}, nil }}
