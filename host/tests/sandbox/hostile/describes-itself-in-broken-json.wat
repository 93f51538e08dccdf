;; Has a schema for its parameters that is not JSON.
;; ends: refused module_refused
;; replace: "echo0.1.0a:bc:d{}" => "echo0.1.0a:bc:d{]"
;; says: parameters-schema
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
