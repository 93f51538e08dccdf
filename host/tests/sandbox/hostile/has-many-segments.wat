;; Has ten thousand and one segments of data.
;; ends: refused module_compile_limit definitions
;; === component
(component (core module (memory 1) (;repeat 10001;)(data (i32.const 0) "")(;end;)))
