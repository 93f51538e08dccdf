;; Has a name with a path in it.
;; ends: refused module_refused
;; replace: "echo0.1.0a:bc:d{}" => "../e0.1.0a:bc:d{}"
;; says: name must be
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
