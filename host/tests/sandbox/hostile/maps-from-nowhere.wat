;; Names a source that is none.
;; ends: refused module_refused
;; replace: "echo0.1.0a:bc:d{}" => "echo0.1.0a-bc:d{}"
;; says: source must be
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
