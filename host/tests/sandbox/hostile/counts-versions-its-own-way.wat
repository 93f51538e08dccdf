;; Has a version that cannot be compared.
;; ends: refused module_refused
;; replace: "echo0.1.0a:bc:d{}" => "echo01.10a:bc:d{}"
;; says: version must be
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
