variable "policies" {
  description = "The folder that deploy/kms/policies.mjs fill has written."
  type        = string
}

variable "enclave_role_name" {
  description = "The role of the enclave's instance; the one that the filled-in policies name."
  type        = string
  default     = "coffer-enclave"
}

variable "alias" {
  description = "The key's alias."
  type        = string
  default     = "alias/coffer"

  validation {
    condition     = startswith(var.alias, "alias/")
    error_message = "An alias begins with alias/."
  }
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
