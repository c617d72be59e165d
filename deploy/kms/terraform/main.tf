# Coffer's KMS key, the role of the enclave's instance, and the policies of those who deal with the key.
# The policies themselves are not written here: deploy/kms/policies.mjs fills them in and checks them
# (docs/kms.md), and this module takes the files.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

locals {
  key_policy = file("${var.policies}/key-policy.json")
  # The files name the key by the placeholder KEY_ARN: it has no ARN before it is made.
  with_key = { KEY_ARN = aws_kms_key.coffer.arn }
}

resource "aws_iam_role" "enclave" {
  name               = var.enclave_role_name
  description        = "The instance of Coffer's enclave: may ask KMS for its keys, which opens them for the enclave only"
  assume_role_policy = file("${var.policies}/enclave-trust.json")
  tags               = var.tags
}

resource "aws_iam_instance_profile" "enclave" {
  name = var.enclave_role_name
  role = aws_iam_role.enclave.name
  tags = var.tags
}

resource "aws_kms_key" "coffer" {
  description             = "Coffer: opens the signing key and the state keys, for enclaves of the pinned images only"
  policy                  = local.key_policy
  multi_region            = false
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  lifecycle {
    # What is encrypted with it is lost with it: the signing key, and the state.
    prevent_destroy = true
    precondition {
      condition     = strcontains(local.key_policy, "\"${aws_iam_role.enclave.arn}\"")
      error_message = "The key's policy names another role than ${aws_iam_role.enclave.arn}: fill it in with --enclave-role and that ARN."
    }
  }
}

resource "aws_kms_alias" "coffer" {
  name          = var.alias
  target_key_id = aws_kms_key.coffer.key_id
}

resource "aws_iam_role_policy" "enclave" {
  name   = "coffer-kms"
  role   = aws_iam_role.enclave.id
  policy = templatefile("${var.policies}/enclave-policy.json", local.with_key)
}

# For people: to be attached to the roles or users that the key's policy names.
resource "aws_iam_policy" "admin" {
  name        = "${var.enclave_role_name}-kms-admin"
  description = "Administers Coffer's KMS key and never uses it"
  policy      = templatefile("${var.policies}/admin-policy.json", local.with_key)
  tags        = var.tags
}

resource "aws_iam_policy" "operator" {
  name        = "${var.enclave_role_name}-kms-operator"
  description = "Encrypts Coffer's signing key in the key ceremony, and can do no more"
  policy      = templatefile("${var.policies}/operator-policy.json", local.with_key)
  tags        = var.tags
}
