"""The cardholder's page (持卡人页面): what a person sees of and does with the own cards."""
