;; Has nine core modules.
;; ends: refused module_compile_limit core_modules
;; === component
(component (;repeat 9;)(core module)(;end;))
