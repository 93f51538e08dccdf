;; Has objects of the host's collector.
;; ends: refused module_refused
;; === component
(component
  (core module
    (type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))))
